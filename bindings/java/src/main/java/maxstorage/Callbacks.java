package maxstorage;

import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.function.LongPredicate;
import java.util.function.Supplier;

/** What threads of the library call. Nothing may be thrown there. */
final class Callbacks {
    private static final ConcurrentMap<Long, Runnable> WAKERS = new ConcurrentHashMap<>();
    private static final AtomicLong NEXT = new AtomicLong(1);
    private static volatile MaxStorage.LogSink sink;

    private Callbacks() {}

    static void setSink(MaxStorage.LogSink next) {
        sink = next;
    }

    /** A number for a waker, to be its context. */
    static long register(Runnable waker) {
        long number = NEXT.getAndIncrement();
        WAKERS.put(number, waker);
        return number;
    }

    static void unregister(long number) {
        WAKERS.remove(number);
    }

    static void log(int level, byte[] target, byte[] message) {
        MaxStorage.LogSink current = sink;
        if (current != null) {
            try {
                current.log(level, Call.decode(target), Call.decode(message));
            } catch (Throwable ignored) { // a log that fails must not end the thread that reads
            }
        }
    }

    static void wake(long number) {
        Runnable waker = WAKERS.get(number);
        if (waker != null) {
            try {
                waker.run();
            } catch (Throwable ignored) { // as above
            }
        }
    }

    private static final ConcurrentMap<Long, Supplier<Options.Credentials>> PROVIDERS = new ConcurrentHashMap<>();

    /** A number for a provider, to be its context until {@link #forget}. */
    static long provide(Supplier<Options.Credentials> provider) {
        long number = NEXT.getAndIncrement();
        PROVIDERS.put(number, provider);
        return number;
    }

    /** Fills credentials; the status that is returned is that of the callback. */
    static int provide(long number, long out) {
        try (Call call = Call.begin()) {
            Options.Credentials found;
            try {
                found = PROVIDERS.get(number).get();
            } catch (Throwable failure) { // its text may hold a secret, its class does not
                long text = call.text("the provider threw " + failure.getClass().getName());
                Call.LIBRARY.ms_credentials_set_error(out, text, 0);
                return Status.UNAVAILABLE;
            }
            int status = found.id == null
                    ? Call.LIBRARY.ms_credentials_set_bearer_token(out, call.text(found.token), 0)
                    : Call.LIBRARY.ms_credentials_set_access_key(out, call.text(found.id), call.text(found.secret), call.text(found.token), 0);
            if (status == 0 && found.expires != null) {
                status = Call.LIBRARY.ms_credentials_set_expiry_ms(out, found.expires.toEpochMilli(), 0);
            }
            return status;
        } catch (Throwable failure) {
            return Status.INTERNAL;
        }
    }

    static void forget(long number) {
        PROVIDERS.remove(number);
    }

    private static final ConcurrentMap<Long, LongPredicate> RESERVES = new ConcurrentHashMap<>();
    private static final ConcurrentMap<Long, LongConsumer> RELEASES = new ConcurrentHashMap<>();

    /** A number for memory hooks, to be their context. The library does not say when it is done with them, so they stay. */
    static long account(LongPredicate reserve, LongConsumer release) {
        long number = NEXT.getAndIncrement();
        RESERVES.put(number, Objects.requireNonNull(reserve, "reserve"));
        RELEASES.put(number, Objects.requireNonNull(release, "release"));
        return number;
    }

    static boolean reserve(long number, long bytes) {
        try {
            return RESERVES.get(number).test(bytes);
        } catch (Throwable failure) {
            return false;
        }
    }

    static void release(long number, long bytes) {
        try {
            RELEASES.get(number).accept(bytes);
        } catch (Throwable ignored) { // nobody is there to be told
        }
    }
}

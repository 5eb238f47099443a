package maxstorage;

import java.lang.ref.Cleaner;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.function.LongToIntFunction;

/** Owns a handle of the library. Closing is idempotent; a handle that is forgotten is freed by a cleaner. */
abstract class Handle implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final Owned owned;
    private final Cleaner.Cleanable cleanable;

    Handle(long address, LongConsumer free) {
        owned = new Owned(address, free);
        cleanable = CLEANER.register(this, owned);
    }

    /** The address; the library refuses 0, which it is after {@link #close}. The object must stay reachable while it is used. */
    final long address() {
        return owned.address.get();
    }

    /** Calls what uses the handle up, and returns its status; BUSY is the one that leaves the handle. */
    final int take(LongToIntFunction use) {
        long address = owned.address.getAndSet(0);
        int status = use.applyAsInt(address);
        if (status == Status.BUSY) {
            owned.address.set(address);
        }
        return status;
    }

    /** Frees the handle. What was opened through it goes on. Only when no other thread uses it; cancel a read that blocks first. */
    @Override
    public void close() {
        cleanable.clean();
    }

    /** What the cleaner holds: nothing that leads back to the handle. */
    private static final class Owned implements Runnable {
        private final AtomicLong address;
        private final LongConsumer free;

        Owned(long address, LongConsumer free) {
            this.address = new AtomicLong(address);
            this.free = free;
        }

        @Override
        public void run() {
            long last = address.getAndSet(0);
            if (last != 0) {
                free.accept(last);
            }
        }
    }
}

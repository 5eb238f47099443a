package maxstorage;

import java.lang.ref.Reference;
import java.time.Instant;
import java.util.Map;
import java.util.function.LongConsumer;
import java.util.function.LongPredicate;
import java.util.function.Supplier;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.ipc.ArrowReader;

/**
 * Keys and values for clients, sessions and reads; docs/options.md lists them. One object may serve all of them: each call reads its own
 * keys, and copies them. Not for several threads at once.
 */
public final class Options extends Handle {
    /** All defaults. */
    public Options() {
        this(Call.LIBRARY.ms_options_new());
    }

    private Options(long address) {
        super(address, Call.LIBRARY::ms_options_free);
    }

    /** The keys of a map. */
    public static Options of(Map<String, String> keys) {
        Options options = new Options();
        keys.forEach(options::set);
        return options;
    }

    /** An independent copy. */
    public Options copy() {
        try {
            return new Options(Call.LIBRARY.ms_options_clone(address()));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Sets a key; an empty value puts it back to its default. */
    public Options set(String key, String value) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_options_set(address(), call.text(key), call.text(value), call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
        return this;
    }

    /** Sets a key that is a number. */
    public Options set(String key, long value) {
        return set(key, Long.toString(value));
    }

    /** Sets a key that is a switch. */
    public Options set(String key, boolean value) {
        return set(key, Boolean.toString(value));
    }

    /** Adds to a key that holds a list. */
    public Options add(String key, String... values) {
        for (String value : values) {
            try (Call call = Call.begin()) {
                call.check(Call.LIBRARY.ms_options_add(address(), call.text(key), call.text(value), call.error()));
            } finally {
                Reference.reachabilityFence(this);
            }
        }
        return this;
    }

    /** Reads the variables of the MaxCompute SDKs for keys that are not set. */
    public Options loadEnvironment() {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_options_load_environment(address(), call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
        return this;
    }

    /** An AccessKey or a bearer token, which may end. */
    public static final class Credentials {
        final String id;
        final String secret;
        final String token;
        final Instant expires;

        /** An AccessKey that does not end. */
        public Credentials(String id, String secret) {
            this(id, secret, null, null);
        }

        /** A temporary AccessKey; token and expiry may be null. */
        public Credentials(String id, String secret, String token, Instant expires) {
            this.id = id;
            this.secret = secret;
            this.token = token;
            this.expires = expires;
        }

        /** A bearer token; the expiry may be null. */
        public static Credentials bearer(String token, Instant expires) {
            return new Credentials(null, null, token, expires);
        }
    }

    /** Has a function supply the credentials. It is called by a thread of the library, and must not call the library. */
    public Options credentialsProvider(Supplier<Credentials> provide) {
        long number = Callbacks.provide(provide);
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_options_set_credentials_provider(
                    address(), Backend.CURRENT.provideCallback(), number, Backend.CURRENT.forgetCallback(), call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
        return this;
    }

    /**
     * Has the host account for the memory that rows lie in: {@code reserve} is asked for so many bytes before they are allocated and may
     * refuse, which holds readers back; {@code release} is told when they are free again. Both are called by any thread, several at once,
     * must return soon and must not call the library; what they throw counts as a refusal, or is lost. They are kept for as long as the
     * process lives. docs/memory.md tells what a refusal does.
     */
    public Options memoryHooks(LongPredicate reserve, LongConsumer release) {
        long number = Callbacks.account(reserve, release);
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_options_set_memory_hooks(
                    address(), Backend.CURRENT.reserveCallback(), Backend.CURRENT.releaseCallback(), number, call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
        return this;
    }

    /** Every option of this version with its type, range, default and text, and the value that is set here: one batch. */
    public ArrowReader describe(BufferAllocator allocator) {
        try (Call call = Call.begin(); ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
            call.check(Call.LIBRARY.ms_options_describe(address(), stream.memoryAddress(), call.error()));
            return Data.importArrayStream(allocator, stream);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** The service endpoint, with scheme and path. */
    public Options endpoint(String url) {
        return set("endpoint", url);
    }

    /** An AccessKey. */
    public Options accessKey(String id, String secret) {
        return set("access_key_id", id).set("access_key_secret", secret);
    }

    /** The default project. */
    public Options project(String name) {
        return set("project", name);
    }

    /** The table to read. */
    public Options table(String name) {
        return set("table", name);
    }

    /** The data columns to read. */
    public Options columns(String... names) {
        return add("columns", names);
    }

    /** The partitions to read, each {@code key=value/key=value}. */
    public Options partitions(String... specs) {
        return add("partitions", specs);
    }

    /** Cuts the table into about so many splits. */
    public Options splitByCount(long count) {
        return set("split.mode", "parallelism").set("split.parallelism", count);
    }

    /** Cuts the table into splits of so many rows. */
    public Options splitByRows(long rows) {
        return set("split.mode", "row_offset").set("split.rows", rows);
    }

    /** Cuts the table by stored bytes. */
    public Options splitBySize(long bytes) {
        return set("split.mode", "size").set("split.size_bytes", bytes);
    }

    /** Makes a split of each bucket of a clustered table. */
    public Options splitByBucket() {
        return set("split.mode", "bucket");
    }
}

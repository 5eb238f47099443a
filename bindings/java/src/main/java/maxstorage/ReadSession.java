package maxstorage;

import java.lang.ref.Reference;
import java.util.Map;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.types.pojo.Schema;

/** One planned read of one table: columns, partitions, filter, snapshot, a list of splits. Never changes; for any number of threads. */
public final class ReadSession extends Handle {
    ReadSession(long address) {
        super(address, Call.LIBRARY::ms_session_free);
    }

    /** The number of splits. */
    public long splits() {
        return number(Call.LIBRARY.ms_session_split_count(address()));
    }

    /** -1 if it is not known. */
    public long estimatedRows() {
        return number(Call.LIBRARY.ms_session_estimated_rows(address()));
    }

    /** -1 if it is not known. */
    public long estimatedBytes() {
        return number(Call.LIBRARY.ms_session_estimated_bytes(address()));
    }

    /** The end of the session's life at the service, in milliseconds since 1970; -1 if it is not known. */
    public long expiresAtMs() {
        return number(Call.LIBRARY.ms_session_expires_at_ms(address()));
    }

    private long number(long value) {
        Reference.reachabilityFence(this);
        return value;
    }

    /** Prolongs the session's life. */
    public void refresh() {
        refresh(null);
    }

    /** The same for a caller that may change its mind; the canceller may be null. */
    public void refresh(Canceller canceller) {
        try (Call call = Call.begin()) {
            long cancel = canceller != null ? canceller.address() : 0;
            call.check(Call.LIBRARY.ms_session_refresh_cancellable(address(), cancel, call.error()));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(canceller);
        }
    }

    /** The session as bytes without credentials, for {@link MaxStorageClient#attach} on any machine and in any language. */
    public byte[] token() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_serialize(address(), out, call.error()));
            return Arrow.bytes(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * The same as a JSON object for {@link MaxStorageClient#attach(String)}, as engines hold splits that are handed on as JSON. It may be laid out
     * anew on its way; docs/reading.md has its keys.
     */
    public String tokenJson() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_serialize_json(address(), out, call.error()));
            return Call.decode(Arrow.bytes(call.read(out)));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** A split as something that Java serialises, for {@link MaxStorageClient#openSplit} on any machine. */
    public SplitToken splitToken(long index) {
        return new SplitToken(token(), index);
    }

    /** How the read was planned, as JSON; docs/explain.md has the keys. */
    public String explain() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_explain(address(), out, call.error()));
            return Call.decode(Arrow.bytes(call.read(out)));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** What all reads of the session have cost so far, closed ones included, by name; docs/metrics.md explains the figures. */
    public Map<String, Long> metrics() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_metrics(address(), out, call.error()));
            return Arrow.metrics(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** What a split covers. */
    public SplitInfo splitInfo(long index) {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_split_info(address(), index, out, call.error()));
            return new SplitInfo(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** The schema of every batch. */
    public Schema schema(BufferAllocator allocator) {
        try (Call call = Call.begin(); ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
            call.check(Call.LIBRARY.ms_session_schema(address(), schema.memoryAddress(), call.error()));
            return Arrow.schema(allocator, schema);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Starts to read a split, with the defaults; returns at once. */
    public SplitReader openSplit(long index, BufferAllocator allocator) {
        return openSplit(index, null, allocator);
    }

    /** Starts to read a split; returns at once. The allocator accounts for the batches, whose memory is the library's. */
    public SplitReader openSplit(long index, Options read, BufferAllocator allocator) {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_split_open(address(), index, read != null ? read.address() : 0, out, call.error()));
            return new SplitReader(call.read(out), allocator);
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(read);
        }
    }

    /** Starts to read all splits, with the defaults; returns at once. */
    public Scan openScan(BufferAllocator allocator) {
        return openScan(null, allocator);
    }

    /** Starts to read all splits; returns at once. */
    public Scan openScan(Options read, BufferAllocator allocator) {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_scan_open(address(), read != null ? read.address() : 0, out, call.error()));
            return new Scan(call.read(out), allocator);
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(read);
        }
    }
}

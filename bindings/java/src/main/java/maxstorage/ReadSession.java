package maxstorage;

import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.PrimitiveIterator;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.types.pojo.Schema;

/**
 * One planned read of one table: columns, partitions, filter, snapshot, a list of splits. Never changes, but for the number of splits that are
 * known; for any number of threads.
 */
public final class ReadSession extends Handle {
    ReadSession(long address) {
        super(address, Call.LIBRARY::ms_session_free);
    }

    /** The number of splits that are known: all, unless the option plan.wait is "first". */
    public long splits() {
        return number(Call.LIBRARY.ms_session_split_count(address()));
    }

    /**
     * Waits until more than {@code known} splits are known, or the plan is complete: with plan.wait "first", sessions are read while they are being
     * planned. Splits that are known come before the failure of the rest. {@code time}, for as long as it takes, and {@code canceller} may be null.
     */
    public KnownSplits moreSplits(long known, Duration time, Canceller canceller) {
        try (Call call = Call.begin()) {
            long cancel = canceller != null ? canceller.address() : 0;
            long count = call.out();
            long complete = call.out();
            long deadline = time != null ? Call.deadline(time) : 0;
            call.check(Call.LIBRARY.ms_session_more_splits(address(), known, deadline, cancel, count, complete, call.error()));
            return new KnownSplits(call.read(count), call.readFlag(complete));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(canceller);
        }
    }

    /** The same without waiting: null while no more are known. */
    public KnownSplits tryMoreSplits(long known) {
        try (Call call = Call.begin()) {
            long count = call.out();
            long complete = call.out();
            int status = Call.LIBRARY.ms_session_try_more_splits(address(), known, count, complete, call.error());
            call.check(status);
            return status == Call.PENDING ? null : new KnownSplits(call.read(count), call.readFlag(complete));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** The numbers of all splits, each as soon as it is known; {@code canceller}, which ends the waits, may be null. */
    public PrimitiveIterator.OfLong splitNumbers(Canceller canceller) {
        return new PrimitiveIterator.OfLong() {
            private KnownSplits known = new KnownSplits(0, false);
            private long next;

            @Override
            public boolean hasNext() {
                while (next == known.count() && !known.isComplete()) {
                    known = moreSplits(next, null, canceller);
                }
                return next < known.count();
            }

            @Override
            public long nextLong() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                return next++;
            }
        };
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

    /** A split as something that Java serialises, for {@link MaxStorageClient#openSplit} on any machine; also while others are planned. */
    public SplitToken splitToken(long index) {
        return new SplitToken(serializeSplit(index, false), index);
    }

    /** A split as a JSON object for {@link MaxStorageClient#attach(String)}, which then has it under its number; also while others are planned. */
    public String splitTokenJson(long index) {
        return Call.decode(serializeSplit(index, true));
    }

    private byte[] serializeSplit(long index, boolean asJson) {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_serialize_split(address(), index, asJson, out, call.error()));
            return Arrow.bytes(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
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

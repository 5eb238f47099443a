package maxstorage;

import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Map;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.types.pojo.Schema;

/** All splits of a session as one reader, for any number of threads. */
public final class Scan extends Handle {
    private final BufferAllocator allocator;
    private final Waker waker;
    private final Schema schema;

    Scan(long address, BufferAllocator allocator) {
        this(address, allocator, new Waker());
    }

    private Scan(long address, BufferAllocator allocator, Waker waker) {
        super(address, last -> {
            Call.LIBRARY.ms_scan_free(last);
            waker.forget();
        });
        this.allocator = allocator;
        this.waker = waker;
        try (Call call = Call.begin(); ArrowSchema out = ArrowSchema.allocateNew(allocator)) {
            call.check(Call.LIBRARY.ms_scan_schema(address, out.memoryAddress(), call.error()));
            schema = Arrow.schema(allocator, out);
        }
    }

    /** A batch and the split it belongs to. */
    public static final class Batch implements AutoCloseable {
        private final VectorSchemaRoot rows;
        private final long split;

        private Batch(VectorSchemaRoot rows, long split) {
            this.rows = rows;
            this.split = split;
        }

        /** The rows. */
        public VectorSchemaRoot rows() {
            return rows;
        }

        /** The number of the split. */
        public long split() {
            return split;
        }

        @Override
        public void close() {
            rows.close();
        }
    }

    /** The schema of every batch. */
    public Schema schema() {
        return schema;
    }

    /** The next batch of any split, to be closed by the caller; null after the last. Blocks until it is there, or somebody cancels. */
    public Batch next() {
        try (Call call = Call.begin(); ArrowArray array = ArrowArray.allocateNew(allocator)) {
            long split = call.out();
            call.check(Call.LIBRARY.ms_scan_next_batch(address(), array.memoryAddress(), split, call.error()));
            return batch(array, call.read(split));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** As {@link #next}, for at most this long: DEADLINE_EXCEEDED ends this call alone, and the scan goes on. */
    public Batch nextWithin(Duration time) {
        try (Call call = Call.begin(); ArrowArray array = ArrowArray.allocateNew(allocator)) {
            long split = call.out();
            call.check(Call.LIBRARY.ms_scan_next_batch_until(address(), Call.deadline(time), array.memoryAddress(), split, call.error()));
            return batch(array, call.read(split));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private Batch batch(ArrowArray array, long split) {
        VectorSchemaRoot rows = Arrow.batch(allocator, array, schema);
        return rows == null ? null : new Batch(rows, split);
    }

    /** As {@link #next}, without blocking. */
    public Attempt<Batch> tryNext() {
        try (Call call = Call.begin(); ArrowArray array = ArrowArray.allocateNew(allocator)) {
            long split = call.out();
            int status = Call.LIBRARY.ms_scan_try_next_batch(address(), array.memoryAddress(), split, call.error());
            call.check(status);
            return status == Call.PENDING ? Attempt.pending() : Attempt.of(batch(array, call.read(split)));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** As {@link SplitReader#setWaker}. One run may stand for several batches: take until {@link #tryNext} is pending. */
    public void setWaker(Runnable wake) {
        try {
            waker.set(wake, (function, context) -> {
                try (Call call = Call.begin()) {
                    call.check(Call.LIBRARY.ms_scan_set_waker(address(), function, context, call.error()));
                }
            });
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** As {@link SplitReader#setBatchLimits}, for all threads. */
    public void setBatchLimits(long maxRows, long maxBytes) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_scan_set_batch_limits(address(), maxRows, maxBytes, call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Keeps further rows out, as {@link SplitReader#addFilter}. */
    public void addFilter(Predicate filter) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_scan_add_filter(address(), filter.address(), call.error()));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(filter);
        }
    }

    /** From 0 to 1. */
    public double progress() {
        try {
            return Call.LIBRARY.ms_scan_progress(address());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Whether all requests of the scan are out, so that it is time to open the next one. */
    public boolean allRequested() {
        try {
            return Call.LIBRARY.ms_scan_all_requested(address());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** What the scan has cost so far, by name; docs/metrics.md explains the figures. */
    public Map<String, Long> metrics() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_scan_metrics(address(), out, call.error()));
            return Arrow.metrics(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Ends the scan for good: every {@link #next} that blocks wakes at once. */
    public void cancel() {
        Call.LIBRARY.ms_scan_cancel(address());
        Reference.reachabilityFence(this);
    }

    /** Turns the scan into a reader of arrow-java. This object is used up. */
    public ArrowReader intoArrowReader() {
        setWaker(null);
        try (Call call = Call.begin(); ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
            call.check(take(address -> Call.LIBRARY.ms_scan_export_stream(address, stream.memoryAddress(), call.error())));
            return Data.importArrayStream(allocator, stream);
        }
    }
}

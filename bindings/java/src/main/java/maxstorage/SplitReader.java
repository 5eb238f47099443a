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

/** An open reader over one split, for one thread at a time; {@link #cancel} may be called by any. */
public final class SplitReader extends Handle {
    private final BufferAllocator allocator;
    private final Waker waker;
    private Schema schema;

    SplitReader(long address, BufferAllocator allocator) {
        this(address, allocator, new Waker());
    }

    private SplitReader(long address, BufferAllocator allocator, Waker waker) {
        super(address, last -> {
            Call.LIBRARY.ms_split_free(last);
            waker.forget();
        });
        this.allocator = allocator;
        this.waker = waker;
    }

    /** The schema of every batch. */
    public Schema schema() {
        if (schema == null) {
            try (Call call = Call.begin(); ArrowSchema out = ArrowSchema.allocateNew(allocator)) {
                call.check(Call.LIBRARY.ms_split_schema(address(), out.memoryAddress(), call.error()));
                schema = Arrow.schema(allocator, out);
            } finally {
                Reference.reachabilityFence(this);
            }
        }
        return schema;
    }

    /**
     * The next batch, to be closed by the caller; null after the last. Its vectors lie in the memory of the library and may outlive
     * everything else. Blocks until it is there, the deadline passes, or somebody cancels.
     */
    public VectorSchemaRoot next() {
        Schema known = schema();
        try (Call call = Call.begin(); ArrowArray array = ArrowArray.allocateNew(allocator)) {
            call.check(Call.LIBRARY.ms_split_next_batch(address(), array.memoryAddress(), call.error()));
            return Arrow.batch(allocator, array, known);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** As {@link #next}, without blocking. */
    public Attempt<VectorSchemaRoot> tryNext() {
        Schema known = schema();
        try (Call call = Call.begin(); ArrowArray array = ArrowArray.allocateNew(allocator)) {
            int status = Call.LIBRARY.ms_split_try_next_batch(address(), array.memoryAddress(), call.error());
            call.check(status);
            return status == Call.PENDING ? Attempt.pending() : Attempt.of(Arrow.batch(allocator, array, known));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Has {@code wake} run, by a thread of the library, whenever {@link #tryNext}, after it was pending, has an answer; null ends that. It
     * must return soon and must not call the library.
     */
    public void setWaker(Runnable wake) {
        try {
            waker.set(wake, (function, context) -> {
                try (Call call = Call.begin()) {
                    call.check(Call.LIBRARY.ms_split_set_waker(address(), function, context, call.error()));
                }
            });
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** How long from now {@link #next} may wait; null for as long as it takes. */
    public void setTimeout(Duration time) {
        long deadline = time == null ? 0 : Call.deadline(time);
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_split_set_deadline_ms(address(), deadline, call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** How large the batches of later calls are at most; 0 for what the options say. Larger ones are cut without copying. */
    public void setBatchLimits(long maxRows, long maxBytes) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_split_set_batch_limits(address(), maxRows, maxBytes, call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Keeps further rows out: those of batches that were not taken yet must match this filter too. */
    public void addFilter(Predicate filter) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_split_add_filter(address(), filter.address(), call.error()));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(filter);
        }
    }

    /** From 0 to 1; -1 if it is not known. */
    public double progress() {
        try {
            return Call.LIBRARY.ms_split_progress(address());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Whether all requests of the read are out, so that it is time to open the next one. */
    public boolean allRequested() {
        try {
            return Call.LIBRARY.ms_split_all_requested(address());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** How many rows were handed out: where a later read would go on. */
    public long rowsDelivered() {
        try {
            return Call.LIBRARY.ms_split_rows_delivered(address());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** What the read has cost so far, by name; docs/metrics.md explains the figures. */
    public Map<String, Long> metrics() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_split_metrics(address(), out, call.error()));
            return Arrow.metrics(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Ends the read for good: a {@link #next} that blocks wakes at once. */
    public void cancel() {
        Call.LIBRARY.ms_split_cancel(address());
        Reference.reachabilityFence(this);
    }

    /** Turns the reader into a reader of arrow-java. This object is used up. */
    public ArrowReader intoArrowReader() {
        setWaker(null);
        try (Call call = Call.begin(); ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
            call.check(take(address -> Call.LIBRARY.ms_split_export_stream(address, stream.memoryAddress(), call.error())));
            return Data.importArrayStream(allocator, stream);
        }
    }
}

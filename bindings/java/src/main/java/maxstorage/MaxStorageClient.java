package maxstorage;

import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.types.pojo.Schema;

/** An endpoint, a caller, and the limits shared by everything opened through it. For any number of threads. */
public final class MaxStorageClient extends Handle {
    private MaxStorageClient(long address) {
        super(address, Call.LIBRARY::ms_client_free);
    }

    /** Checks the options; makes no request. */
    public static MaxStorageClient open(Options options) {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_client_open(options.address(), out, call.error()));
            return new MaxStorageClient(call.read(out));
        } finally {
            Reference.reachabilityFence(options);
        }
    }

    /** Plans a read of the table that the options name; blocks until the plan is ready. */
    public ReadSession read(Options scan) {
        return read(scan, null);
    }

    /** The same with a filter, which may be null. */
    public ReadSession read(Options scan, Predicate filter) {
        return read(scan, filter, null);
    }

    /** The same for a caller that may change its mind; filter and canceller may be null. */
    public ReadSession read(Options scan, Predicate filter, Canceller canceller) {
        try (Call call = Call.begin()) {
            long out = call.out();
            long predicate = filter != null ? filter.address() : 0;
            long cancel = canceller != null ? canceller.address() : 0;
            call.check(Call.LIBRARY.ms_session_open_cancellable(address(), scan.address(), predicate, cancel, out, call.error()));
            return new ReadSession(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(scan);
            Reference.reachabilityFence(filter);
            Reference.reachabilityFence(canceller);
        }
    }

    /** A handle of the same client whose calls, and the readers they give, end with the canceller. What is opened with it goes on. */
    public MaxStorageClient withCancel(Canceller canceller) {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_client_with_cancel(address(), canceller.address(), out, call.error()));
            return new MaxStorageClient(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(canceller);
        }
    }

    /** A session that was planned elsewhere, from {@link ReadSession#token}. Makes no request. */
    public ReadSession attach(byte[] token) {
        try (Call call = Call.begin()) {
            long bytes = call.bytes(token);
            long out = call.out();
            call.check(Call.LIBRARY.ms_session_attach(address(), bytes, token.length, out, call.error()));
            return new ReadSession(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** The same, from {@link ReadSession#tokenJson}. */
    public ReadSession attach(String json) {
        return attach(json.getBytes(StandardCharsets.UTF_8));
    }

    /** Starts to read a split that was planned elsewhere; {@code read} may be null. Returns at once, and reading makes one request. */
    public SplitReader openSplit(SplitToken split, Options read, BufferAllocator allocator) {
        try (ReadSession session = attach(split.session())) {
            return session.openSplit(split.index(), read, allocator);
        }
    }

    private interface Ask {
        int list(Call call, long stream);
    }

    /** The catalogue: batches of arrow-java, whose columns docs/catalogue.md tells. */
    private ArrowReader list(BufferAllocator allocator, Ask ask) {
        try (Call call = Call.begin(); ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
            call.check(ask.list(call, stream.memoryAddress()));
            return Data.importArrayStream(allocator, stream);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Projects and their schemas; null for all projects. */
    public ArrowReader projectsSchemas(String project, BufferAllocator allocator) {
        return list(allocator, (call, stream) -> Call.LIBRARY.ms_projects_schemas(address(), call.text(project), stream, call.error()));
    }

    /** The tables of a schema whose names match a pattern with * and ?; null stands for the default, or for all. */
    public ArrowReader tables(String project, String schema, String pattern, BufferAllocator allocator) {
        return list(allocator, (call, stream) ->
                Call.LIBRARY.ms_tables(address(), call.text(project), call.text(schema), call.text(pattern), stream, call.error()));
    }

    /** The columns of a table, with their MaxCompute types and keys as field metadata. */
    public Schema tableSchema(String table, BufferAllocator allocator) {
        try (Call call = Call.begin(); ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
            call.check(Call.LIBRARY.ms_table_schema(address(), call.text(table), schema.memoryAddress(), call.error()));
            return Arrow.schema(allocator, schema);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** What is known of a table besides its columns: one row. */
    public ArrowReader tableDetails(String table, BufferAllocator allocator) {
        return list(allocator, (call, stream) -> Call.LIBRARY.ms_table_details(address(), call.text(table), stream, call.error()));
    }

    /** The partitions of a table; the filter on the partition keys may be null. */
    public ArrowReader partitions(String table, Predicate filter, BufferAllocator allocator) {
        try {
            return list(allocator, (call, stream) ->
                    Call.LIBRARY.ms_partitions(address(), call.text(table), filter != null ? filter.address() : 0, stream, call.error()));
        } finally {
            Reference.reachabilityFence(filter);
        }
    }

    /** The first rows of a table, without a session; the options, which may be null, name columns and a partition. */
    public ArrowReader preview(String table, long rows, Options scan, BufferAllocator allocator) {
        try {
            return list(allocator, (call, stream) ->
                    Call.LIBRARY.ms_table_preview(address(), call.text(table), scan != null ? scan.address() : 0, rows, stream, call.error()));
        } finally {
            Reference.reachabilityFence(scan);
        }
    }

    /** Walks from name resolution to the right to read: a row for each step. The table may be null. */
    public ArrowReader diagnose(String table, BufferAllocator allocator) {
        return list(allocator, (call, stream) -> Call.LIBRARY.ms_client_diagnose(address(), call.text(table), stream, call.error()));
    }

    /** Memory and requests of everything opened through the client, by name. */
    public Map<String, Long> metrics() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_client_metrics(address(), out, call.error()));
            return Arrow.metrics(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}

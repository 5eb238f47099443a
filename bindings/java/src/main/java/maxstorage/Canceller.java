package maxstorage;

import java.lang.ref.Reference;
import java.time.Duration;

/**
 * Ends calls and reads: calls that plan ({@link MaxStorageClient#read(Options, Predicate, Canceller)}) or refresh ({@link ReadSession#refresh(Canceller)}), and all of
 * a client ({@link MaxStorageClient#withCancel}), and the readers that were added. For any number of threads.
 */
public final class Canceller extends Handle {
    /** Ends nothing yet. */
    public Canceller() {
        super(Call.LIBRARY.ms_cancel_new(), Call.LIBRARY::ms_cancel_free);
    }

    /** Ends the calls that were given this object, those that will be, and the readers that were added. */
    public void cancel() {
        Call.LIBRARY.ms_cancel_now(address());
        Reference.reachabilityFence(this);
    }

    /** Has a reader end with this object, at once if it was cancelled already. */
    public void add(SplitReader reader) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_cancel_add_split(address(), reader.address(), call.error()));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(reader);
        }
    }

    /** Has a scan end with this object, at once if it was cancelled already. */
    public void add(Scan scan) {
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_cancel_add_scan(address(), scan.address(), call.error()));
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(scan);
        }
    }

    /** How long from now those calls may take, all in all; null for as long as they take. */
    public void setTimeout(Duration time) {
        long deadline = time == null ? 0 : Call.deadline(time);
        try (Call call = Call.begin()) {
            call.check(Call.LIBRARY.ms_cancel_set_deadline_ms(address(), deadline, call.error()));
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}

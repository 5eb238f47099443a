package maxstorage;

import java.lang.ref.Reference;

/** Cancels calls that plan: give it to {@link MaxStorageClient#read(Options, Predicate, Canceller)}. For any number of threads. */
public final class Canceller extends Handle {
    /** Cancels nothing yet. */
    public Canceller() {
        super(Call.LIBRARY.ms_cancel_new(), Call.LIBRARY::ms_cancel_free);
    }

    /** Ends the calls that were given this object, and those that will be. */
    public void cancel() {
        Call.LIBRARY.ms_cancel_now(address());
        Reference.reachabilityFence(this);
    }
}

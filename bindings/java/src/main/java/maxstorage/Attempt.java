package maxstorage;

/** What a read that must not block has to say: nothing yet, a batch, or the end. */
public final class Attempt<B> {
    private final boolean pending;
    private final B batch;

    private Attempt(boolean pending, B batch) {
        this.pending = pending;
        this.batch = batch;
    }

    static <B> Attempt<B> pending() {
        return new Attempt<>(true, null);
    }

    static <B> Attempt<B> of(B batch) {
        return new Attempt<>(false, batch);
    }

    /** Nothing is ready yet. */
    public boolean isPending() {
        return pending;
    }

    /** The batch, to be closed by the caller; null while pending, and after the last. */
    public B batch() {
        return batch;
    }
}

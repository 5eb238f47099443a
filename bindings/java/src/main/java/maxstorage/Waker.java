package maxstorage;

/** What the library runs when a reader has an answer. It is kept until the library does not call it any more. */
final class Waker {
    private long number;

    /** Registers a function of the library's type and its context; both are 0 for none. */
    interface Register {
        void register(long function, long context);
    }

    /** In place of the former one; null for none. */
    synchronized void set(Runnable wake, Register register) {
        long next = wake != null ? Callbacks.register(wake) : 0;
        try {
            register.register(wake != null ? Backend.CURRENT.wakeCallback() : 0, next);
        } catch (RuntimeException failure) {
            Callbacks.unregister(next);
            throw failure;
        }
        Callbacks.unregister(number);
        number = next;
    }

    /** The reader is gone. */
    synchronized void forget() {
        Callbacks.unregister(number);
        number = 0;
    }
}

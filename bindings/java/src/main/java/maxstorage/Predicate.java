package maxstorage;

import java.lang.ref.Reference;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.FieldVector;

/** A filter: a tree of typed comparisons. For any number of threads. */
public final class Predicate extends Handle {
    /** How a column is compared. */
    public enum Op {
        /** Equal. */
        EQ(0),
        /** Not equal. */
        NE(1),
        /** Less. */
        LT(2),
        /** Less or equal. */
        LE(3),
        /** Greater. */
        GT(4),
        /** Greater or equal. */
        GE(5);

        private final int number;

        Op(int number) {
            this.number = number;
        }
    }

    private Predicate(long address) {
        super(address, Call.LIBRARY::ms_predicate_free);
    }

    /** Text in the grammar of the service; docs/predicates.md has it. */
    public static Predicate parse(String text) {
        try (Call call = Call.begin()) {
            long words = call.text(text);
            long out = call.out();
            call.check(Call.LIBRARY.ms_predicate_parse(words, out, call.error()));
            return new Predicate(call.read(out));
        }
    }

    /** A Substrait message: an ExtendedExpression with one condition; docs/predicates.md has what is taken. */
    public static Predicate fromSubstrait(byte[] message) {
        try (Call call = Call.begin()) {
            long bytes = call.bytes(message);
            long out = call.out();
            call.check(Call.LIBRARY.ms_predicate_from_substrait(bytes, message.length, out, call.error()));
            return new Predicate(call.read(out));
        }
    }

    /**
     * A column compared with a value: a Long, Integer, Short, Byte, Double, Float, Boolean, String, byte[], BigDecimal, LocalDate, Instant,
     * or null; or a vector of arrow-java with one value.
     */
    public static Predicate compare(String column, Op op, Object value) {
        return withLiterals(column, new Object[] {value}, (call, name, schema, array, out) ->
                Call.LIBRARY.ms_predicate_compare(name, op.number, schema, array, out, call.error()));
    }

    /** A column that is one of some values, as for {@link #compare}; or one vector with all of them. */
    public static Predicate in(String column, Object... values) {
        return list(column, false, values);
    }

    /** A column that is none of some values. */
    public static Predicate notIn(String column, Object... values) {
        return list(column, true, values);
    }

    private static Predicate list(String column, boolean negated, Object[] values) {
        return withLiterals(column, values, (call, name, schema, array, out) ->
                Call.LIBRARY.ms_predicate_in(name, negated, schema, array, out, call.error()));
    }

    /** A column that is NULL. */
    public static Predicate isNull(String column) {
        return isNull(column, false);
    }

    /** A column that is not NULL. */
    public static Predicate isNotNull(String column) {
        return isNull(column, true);
    }

    private static Predicate isNull(String column, boolean negated) {
        try (Call call = Call.begin()) {
            long name = call.text(column);
            long out = call.out();
            call.check(Call.LIBRARY.ms_predicate_is_null(name, negated, out, call.error()));
            return new Predicate(call.read(out));
        }
    }

    /** All of some predicates. */
    public static Predicate and(Predicate... operands) {
        return join(operands, true);
    }

    /** Any of some predicates. */
    public static Predicate or(Predicate... operands) {
        return join(operands, false);
    }

    private static Predicate join(Predicate[] operands, boolean all) {
        try (Call call = Call.begin()) {
            long list = call.addresses(operands);
            long out = call.out();
            call.check(all
                    ? Call.LIBRARY.ms_predicate_and(list, operands.length, out, call.error())
                    : Call.LIBRARY.ms_predicate_or(list, operands.length, out, call.error()));
            return new Predicate(call.read(out));
        } finally {
            for (Predicate operand : operands) {
                Reference.reachabilityFence(operand);
            }
        }
    }

    /** The opposite; unknown stays unknown. */
    public Predicate not() {
        try (Call call = Call.begin()) {
            long out = call.out();
            call.check(Call.LIBRARY.ms_predicate_not(address(), out, call.error()));
            return new Predicate(call.read(out));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** The text, for logs. */
    @Override
    public String toString() {
        try {
            return Call.string(Call.LIBRARY.ms_predicate_text(address()));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private interface Maker {
        int make(Call call, long name, long schema, long array, long out);
    }

    private static Predicate withLiterals(String column, Object[] values, Maker maker) {
        if (values.length == 1 && values[0] instanceof FieldVector) {
            FieldVector vector = (FieldVector) values[0];
            return with(column, vector, vector.getAllocator(), maker);
        }
        try (BufferAllocator allocator = new RootAllocator(); FieldVector vector = Literals.vector(values, allocator)) {
            return with(column, vector, allocator, maker);
        }
    }

    private static Predicate with(String column, FieldVector values, BufferAllocator allocator, Maker maker) {
        try (Call call = Call.begin();
                ArrowSchema schema = ArrowSchema.allocateNew(allocator);
                ArrowArray array = ArrowArray.allocateNew(allocator)) {
            Data.exportVector(allocator, values, null, array, schema);
            long name = call.text(column);
            long out = call.out();
            try {
                call.check(maker.make(call, name, schema.memoryAddress(), array.memoryAddress(), out));
            } finally {
                schema.release();
            }
            return new Predicate(call.read(out));
        }
    }
}

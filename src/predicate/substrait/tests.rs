//! Messages written by hand, field by field.

use super::*;

/// A field with bytes, text or a message.
fn bytes(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// A field with a whole number.
fn int(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value.cast_unsigned())].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn lit(content: impl AsRef<[u8]>) -> Vec<u8> {
    bytes(1, content)
}

/// The literal `value` of 32 bits.
fn i32_of(value: i64) -> Vec<u8> {
    lit(int(5, value))
}

fn null() -> Vec<u8> {
    lit(bytes(29, bytes(5, int(2, 1))))
}

/// The way down to a column or a field.
fn reference(path: &[i64]) -> Vec<u8> {
    let segment = path.iter().rev().fold(Vec::new(), |child, field| {
        let child = if child.is_empty() { child } else { bytes(2, child) };
        bytes(2, [int(1, *field), child].concat())
    });
    bytes(2, [bytes(1, segment), bytes(4, "")].concat())
}

/// Functions by their numbers, which are their places here.
const FUNCTIONS: [&str; 14] = [
    "and",
    "or",
    "not",
    "equal",
    "not_equal",
    "lt",
    "lte",
    "gt",
    "gte",
    "is_null",
    "is_not_null",
    "between",
    "xor",
    "add",
];

fn call(name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    let number = FUNCTIONS.iter().position(|known| *known == name).unwrap();
    let arguments: Vec<u8> = arguments.iter().flat_map(|argument| bytes(4, bytes(3, argument))).collect();
    bytes(3, [int(1, number as i64), arguments].concat())
}

fn in_list(value: Vec<u8>, options: &[Vec<u8>]) -> Vec<u8> {
    bytes(8, [bytes(1, value), options.iter().flat_map(|option| bytes(2, option)).collect()].concat())
}

fn cast(target: Vec<u8>, input: Vec<u8>) -> Vec<u8> {
    bytes(11, [bytes(1, target), bytes(2, input)].concat())
}

/// Columns n (i32), s (a struct of x and a list of structs with y), m (a map of structs with k and v), last (string).
fn schema() -> Vec<u8> {
    let number = || bytes(5, int(2, 1));
    let list = bytes(27, bytes(1, bytes(25, bytes(1, number()))));
    let map = bytes(28, [bytes(1, bytes(25, bytes(1, number()))), bytes(2, bytes(25, bytes(1, number())))].concat());
    let types = [number(), bytes(25, [bytes(1, number()), bytes(1, list)].concat()), map, bytes(12, int(2, 1))];
    let names: Vec<u8> =
        ["n", "s", "x", "l", "y", "m", "k", "v", "last"].iter().flat_map(|name| bytes(1, name)).collect();
    [names, bytes(2, types.iter().flat_map(|kind| bytes(1, kind)).collect::<Vec<_>>())].concat()
}

/// Where functions come from.
enum From {
    Uri,
    Urn,
    Nowhere,
    Elsewhere,
    /// Under the name of Substrait's own.
    Impostor,
    /// From an extension that is not declared.
    Undeclared,
}

fn message_from(expression: Vec<u8>, from: From) -> Vec<u8> {
    let place = |anchor: i64, name: &str| match from {
        From::Uri => {
            bytes(1, [int(1, anchor), bytes(2, format!("https://substrait.io/extensions/{name}.yaml"))].concat())
        }
        From::Urn => bytes(8, [int(1, anchor), bytes(2, format!("extension:io.substrait:{name}"))].concat()),
        From::Elsewhere => bytes(8, [int(1, anchor), bytes(2, format!("extension:org.example:my_{name}"))].concat()),
        From::Impostor => bytes(8, [int(1, anchor), bytes(2, format!("extension:org.example:{name}"))].concat()),
        From::Nowhere | From::Undeclared => Vec::new(),
    };
    let declared: Vec<u8> = FUNCTIONS
        .iter()
        .enumerate()
        .flat_map(|(number, name)| {
            let anchor = i64::from(!matches!(*name, "and" | "or" | "not" | "xor")) + 7;
            let reference = match from {
                From::Uri => int(1, anchor),
                From::Urn | From::Elsewhere | From::Impostor | From::Undeclared => int(4, anchor),
                From::Nowhere => int(4, u32::MAX.into()),
            };
            let name = if number % 2 == 0 { format!("{name}:any_any") } else { name.to_string() };
            bytes(2, bytes(3, [reference, int(2, number as i64), bytes(3, name)].concat()))
        })
        .collect();
    let expression = bytes(3, [bytes(1, expression), bytes(3, "out")].concat());
    [place(7, "functions_boolean"), place(8, "functions_comparison"), declared, expression, bytes(4, schema())].concat()
}

fn message(expression: Vec<u8>) -> Vec<u8> {
    message_from(expression, From::Uri)
}

fn text(expression: Vec<u8>) -> String {
    Predicate::from_substrait(&message(expression)).unwrap().to_string()
}

/// What an expression with something that we do not take fails with.
fn refusal(expression: Vec<u8>) -> String {
    let error = Predicate::from_substrait(&message(expression)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    error.message().to_owned()
}

fn n() -> Vec<u8> {
    reference(&[0])
}

#[test]
fn tests_of_columns() {
    for (name, symbol, flipped) in [
        ("equal", "=", "="),
        ("not_equal", "!=", "!="),
        ("lt", "<", ">"),
        ("lte", "<=", ">="),
        ("gt", ">", "<"),
        ("gte", ">=", "<="),
    ] {
        assert_eq!(text(call(name, &[n(), i32_of(-3)])), format!("`n` {symbol} -3"));
        assert_eq!(text(call(name, &[i32_of(3), n()])), format!("`n` {flipped} 3"));
    }
    assert_eq!(text(call("is_null", &[n()])), "`n` IS NULL");
    assert_eq!(text(call("is_not_null", &[reference(&[1, 0])])), "`s`.`x` IS NOT NULL");
    assert_eq!(text(call("between", &[n(), i32_of(1), i32_of(2)])), "`n` >= 1 AND `n` <= 2");
    assert_eq!(text(in_list(n(), &[i32_of(1), null()])), "`n` IN (1, NULL)");
    assert_eq!(text(in_list(n(), &[])), "`n` IN ()");
    assert_eq!(text(reference(&[3])), "`last` = true");
    assert_eq!(text(call("equal", &[n(), null()])), "`n` = NULL");
    // A reference without a root is one of the row, and one of the first field may leave its number out.
    assert_eq!(text(bytes(2, bytes(1, bytes(2, "")))), "`n` = true");
}

#[test]
fn logic() {
    let one = || call("equal", &[n(), i32_of(1)]);
    let two = || call("is_null", &[reference(&[3])]);
    assert_eq!(text(call("and", &[one(), two(), one()])), "`n` = 1 AND `last` IS NULL AND `n` = 1");
    let mixed = call("not", &[call("or", &[call("and", &[one(), two()]), two(), call("or", &[one()])])]);
    assert_eq!(text(mixed), "NOT (`n` = 1 AND `last` IS NULL OR `last` IS NULL OR `n` = 1)");
}

#[test]
fn long_chains_are_flat_and_deep_trees_are_refused() {
    let leaf = || call("equal", &[n(), i32_of(1)]);
    for left in [true, false] {
        let chain = (0..2000).fold(leaf(), |chain, _| {
            let both = if left { [chain, leaf()] } else { [leaf(), chain] };
            call("and", &both)
        });
        let read = Predicate::from_substrait(&message(chain)).unwrap();
        assert_eq!(read.conjuncts().len(), 2001);
    }
    let deep = |levels| Predicate::from_substrait(&message((0..levels).fold(leaf(), |of, _| call("not", &[of]))));
    assert!(deep(255).is_ok());
    for too_deep in [256, 257, 5000] {
        assert_eq!(deep(too_deep).unwrap_err().kind(), Kind::InvalidArgument);
    }
    let casts = (0..5000).fold(i32_of(1), |of, _| cast(bytes(5, ""), of));
    let error = Predicate::from_substrait(&message(call("equal", &[n(), casts]))).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    let structs = (0..5000).fold(bytes(5, ""), |of, _| bytes(25, bytes(1, of)));
    let names = bytes(1, "a").repeat(5001);
    let schema = bytes(4, [names, bytes(2, bytes(1, structs))].concat());
    assert!(Predicate::from_substrait(&schema).unwrap_err().message().contains("256 levels"));
    let lists = (0..5000).fold(bytes(5, ""), |of, _| bytes(27, bytes(1, of)));
    let schema = bytes(4, [bytes(1, "a"), bytes(2, bytes(1, lists))].concat());
    assert!(Predicate::from_substrait(&schema).unwrap_err().message().contains("no expression"));
}

#[test]
fn functions_come_from_anywhere_but_elsewhere() {
    let expression = || call("and", &[call("equal", &[n(), i32_of(1)]), call("gt", &[n(), i32_of(0)])]);
    for from in [From::Uri, From::Urn, From::Nowhere] {
        let read = Predicate::from_substrait(&message_from(expression(), from)).unwrap();
        assert_eq!(read.to_string(), "`n` = 1 AND `n` > 0");
    }
    for (expression, name) in
        [(expression(), "and"), (call("gt", &[n(), i32_of(0)]), "gt"), (call("is_null", &[n()]), "is_null")]
    {
        let error = Predicate::from_substrait(&message_from(expression, From::Elsewhere)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains(&format!("`{name}` of `extension:org.example:my_functions_")), "{error}");
    }
    let error = Predicate::from_substrait(&message_from(expression(), From::Impostor)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    let error = Predicate::from_substrait(&message_from(expression(), From::Undeclared)).unwrap_err();
    assert!(error.message().contains("an extension that it does not declare"), "{error}");
}

/// Arrow names the fields of a struct in a struct, but not those in a list or a map.
#[test]
fn fields_in_lists_and_maps_may_have_no_names() {
    let names = ["n", "s", "x", "l", "y", "m", "k", "v", "last"].map(|name| bytes(1, name)).concat();
    let fewer = ["n", "s", "x", "l", "m", "last"].map(|name| bytes(1, name)).concat();
    let types = schema()[names.len()..].to_vec();
    let of = |names: Vec<u8>| {
        let whole = message(call("is_null", &[reference(&[3])]));
        let base = bytes(4, schema());
        assert!(whole.ends_with(&base));
        let whole = [&whole[..whole.len() - base.len()], &bytes(4, [names, types.clone()].concat())].concat();
        Predicate::from_substrait(&whole).map(|predicate| predicate.to_string())
    };
    assert_eq!(of(names.clone()).unwrap(), "`last` IS NULL");
    assert_eq!(of(fewer.clone()).unwrap(), "`last` IS NULL");
    for wrong in [[fewer, bytes(1, "more")].concat(), [names, bytes(1, "more")].concat()] {
        assert!(of(wrong).unwrap_err().message().contains("malformed"));
    }
}

#[test]
fn literals_of_every_type() {
    let of = |content: Vec<u8>| text(call("equal", &[n(), lit(content)])).replace("`n` = ", "");
    let decimal = |value: i128, precision, scale| {
        bytes(24, [bytes(1, value.to_le_bytes()), int(2, precision), int(3, scale)].concat())
    };
    let precise = |number, precision, value| bytes(number, [int(1, precision), int(2, value)].concat());
    for (content, wanted) in [
        (int(1, 1), "true"),
        (int(1, 0), "false"),
        (int(2, -128), "-128"),
        (int(3, 32_767), "32767"),
        ([int(5, -1), int(50, 1)].concat(), "-1"),
        (int(7, i64::MIN), "-9223372036854775808"),
        ([varint(10 << 3 | 5), 1.5f32.to_le_bytes().to_vec()].concat(), "1.5e0"),
        ([varint(11 << 3 | 1), f64::NAN.to_le_bytes().to_vec()].concat(), "NaN"),
        (bytes(12, "it's"), "'it\\'s'"),
        (bytes(13, [0, 255]), "X'00ff'"),
        (int(16, -1), "DATE'1969-12-31'"),
        (bytes(21, "ab "), "'ab '"),
        (bytes(22, [bytes(1, "ab"), int(2, 5)].concat()), "'ab'"),
        (bytes(23, [7]), "X'07'"),
        (decimal(-150, 5, 2), "-1.50BD"),
        (decimal(10i128.pow(38) - 1, 38, 0), "99999999999999999999999999999999999999"),
        (int(14, -1), "TIMESTAMP_NTZ'1969-12-31 23:59:59.999999'"),
        (int(27, 1), "TIMESTAMP'1970-01-01 00:00:00.000001'"),
        (precise(34, 0, 1), "TIMESTAMP_NTZ'1970-01-01 00:00:01'"),
        (precise(34, 3, 1), "TIMESTAMP_NTZ'1970-01-01 00:00:00.001'"),
        (precise(35, 9, 1), "TIMESTAMP'1970-01-01 00:00:00.000000001'"),
        (precise(35, 12, -1000), "TIMESTAMP'1969-12-31 23:59:59.999999999'"),
    ] {
        assert_eq!(of(content), wanted);
    }
    for (content, said) in [
        (precise(35, 12, 1), "finer than nanoseconds"),
        (int(17, 1), "a time of day"),
        (bytes(19, int(1, 1)), "an interval"),
        (bytes(25, ""), "a struct"),
        (bytes(28, [0; 16]), "a UUID"),
        (bytes(30, ""), "a list"),
        (bytes(33, int(1, 1)), "a type of an extension"),
        (bytes(99, ""), "not known"),
        ([int(5, 1), int(51, 3)].concat(), "a type variation"),
    ] {
        let message = refusal(call("equal", &[n(), lit(content)]));
        assert!(message.contains(said), "{message}");
    }
    for bad in [
        decimal(100, 2, 0),
        decimal(1, 39, 0),
        decimal(1, 5, 6),
        bytes(24, bytes(1, "short")),
        precise(34, 13, 1),
        int(2, 1 << 40),
        vec![],
    ] {
        let error = Predicate::from_substrait(&message(call("equal", &[n(), lit(bad)]))).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    }
}

#[test]
fn casts_of_literals_that_lose_nothing() {
    let decimal =
        |value: i128, scale| lit(bytes(24, [bytes(1, value.to_le_bytes()), int(2, 38), int(3, scale)].concat()));
    let double = |value: f64| lit([varint(11 << 3 | 1), value.to_le_bytes().to_vec()].concat());
    let typed = |number: u64| bytes(number, int(2, 1));
    let decimal_type = |precision, scale| bytes(24, [int(1, scale), int(2, precision)].concat());
    let words = |text: &str| lit(bytes(12, text));
    let micros = |number, value| lit(bytes(number, [int(1, 6), int(2, value)].concat()));
    for (target, input, wanted) in [
        (typed(7), i32_of(5), "5"),
        (typed(2), i32_of(-128), "-128"),
        (decimal_type(5, 2), i32_of(5), "5.00BD"),
        (decimal_type(5, 1), decimal(150, 2), "1.5BD"),
        (typed(5), decimal(300, 2), "3"),
        (typed(11), i32_of(3), "3e0"),
        (typed(11), decimal(-125, 3), "-1.25e-1"),
        (typed(10), double(0.5), "5e-1"),
        (typed(5), double(7.0), "7"),
        (typed(12), words("a"), "'a'"),
        (bytes(22, int(1, 2)), words("ab"), "'ab'"),
        (bytes(21, int(1, 2)), words("ab"), "'ab'"),
        (typed(16), words("2020-02-29"), "DATE'2020-02-29'"),
        (bytes(33, int(1, 0)), lit(int(16, 1)), "TIMESTAMP_NTZ'1970-01-02 00:00:00'"),
        (bytes(33, int(1, 3)), micros(34, 5000), "TIMESTAMP_NTZ'1970-01-01 00:00:00.005'"),
        (bytes(34, int(1, 9)), micros(35, 5), "TIMESTAMP'1970-01-01 00:00:00.000005'"),
        (typed(14), words("2020-01-01 00:00:00.5"), "TIMESTAMP_NTZ'2020-01-01 00:00:00.5'"),
        (typed(5), null(), "NULL"),
        (typed(7), cast(typed(3), i32_of(5)), "5"),
    ] {
        assert_eq!(text(call("equal", &[n(), cast(target, input)])), format!("`n` = {wanted}"));
    }
    for (target, input) in [
        (typed(2), i32_of(128)),
        (typed(5), decimal(150, 2)),
        (decimal_type(2, 1), i32_of(10)),
        (typed(11), decimal(1, 1)),
        (typed(11), lit(int(7, (1 << 53) + 1))),
        (typed(10), double(0.1)),
        (typed(5), double(0.5)),
        (typed(12), i32_of(1)),
        (typed(5), words("1")),
        (bytes(22, int(1, 1)), words("ab")),
        (bytes(21, int(1, 3)), words("ab")),
        (typed(16), words("yesterday")),
        (typed(16), micros(34, 1)),
        (bytes(33, int(1, 3)), micros(34, 5)),
        // Of another zone, perhaps.
        (bytes(34, int(1, 6)), micros(34, 5)),
        (bytes(27, ""), i32_of(1)),
    ] {
        let message = refusal(call("equal", &[n(), cast(target, input)]));
        assert!(message.contains("a cast of the literal"), "{message}");
    }
    assert!(
        refusal(call("equal", &[cast(typed(7), n()), i32_of(1)])).contains("a cast of something else than a literal")
    );
}

#[test]
fn what_has_no_place_in_a_predicate_is_named() {
    let one = || call("equal", &[n(), i32_of(1)]);
    let sum = || call("add", &[n(), i32_of(1)]);
    let option = |expression: &[u8]| {
        // The fields of the call, and an option behind them.
        let inner = Message::read(expression).unwrap().bytes(3).unwrap().to_vec();
        bytes(3, [inner, bytes(5, [bytes(1, "overflow"), bytes(2, "ERROR")].concat())].concat())
    };
    for (expression, said) in [
        (
            call("equal", &[sum(), i32_of(1)]),
            "`add` of `https://substrait.io/extensions/functions_comparison.yaml` inside of `equal`",
        ),
        (call("xor", &[one(), one()]), "`xor` of"),
        (call("and", &[]), "`and` of `https://substrait.io/extensions/functions_boolean.yaml` with 0 arguments"),
        (call("equal", &[n()]), "with 1 arguments"),
        (call("not", &[one(), one()]), "with 2 arguments"),
        (call("equal", &[n(), n()]), "two columns"),
        (call("equal", &[i32_of(1), i32_of(1)]), "two literals"),
        (call("is_null", &[one()]), "inside of `is_null`"),
        (call("is_null", &[i32_of(1)]), "`is_null` of a literal"),
        (call("between", &[n(), n(), i32_of(1)]), "a column where a literal belongs"),
        (in_list(sum(), &[i32_of(1)]), "`add`"),
        (in_list(n(), &[n()]), "a column where a literal belongs"),
        (call("equal", &[in_list(n(), &[]), i32_of(1)]), "IN inside of"),
        (option(&one()), "the option `overflow` of the function `equal`"),
        (lit(int(1, 1)), "a literal as a condition"),
        (cast(bytes(1, ""), n()), "a cast as a condition"),
        (bytes(6, ""), "IF"),
        (bytes(12, ""), "a subquery"),
        (bytes(77, ""), "not known"),
        (bytes(2, [bytes(1, bytes(2, "")), bytes(5, int(1, 1))].concat()), "an outer query"),
        (bytes(2, bytes(2, "")), "a masked reference"),
        (bytes(2, bytes(1, bytes(3, int(1, 1)))), "an element of a list or a map"),
    ] {
        let message = refusal(expression);
        assert!(message.contains(said), "{message}");
    }
    for (extra, said) in
        [(bytes(5, bytes(2, "x")), "an enhancement"), (bytes(3, bytes(1, one())), "more than one expression")]
    {
        let error = Predicate::from_substrait(&[message(one()), extra].concat()).unwrap_err();
        assert!(error.kind() == Kind::Unsupported && error.message().contains(said), "{error}");
    }
    let measure = [bytes(3, bytes(2, "")), bytes(4, schema())].concat();
    assert!(Predicate::from_substrait(&measure).unwrap_err().message().contains("an aggregate"));
    // What only helps is passed over.
    assert!(
        Predicate::from_substrait(&[message(one()), bytes(5, bytes(1, "x")), bytes(7, int(2, 44))].concat()).is_ok()
    );
}

#[test]
fn broken_messages_are_refused_and_never_read_past() {
    let whole = message(call("and", &[call("equal", &[n(), i32_of(1)]), in_list(n(), &[i32_of(1), null()])]));
    assert!(Predicate::from_substrait(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(Predicate::from_substrait(&whole[..end]).is_err(), "cut at {end}");
        let mut damaged = whole.clone();
        damaged[end] ^= 0x81;
        let _ = Predicate::from_substrait(&damaged);
    }
    let expression = || bytes(3, bytes(1, call("equal", &[n(), i32_of(1)])));
    let number = bytes(1, bytes(5, ""));
    for (bad, said) in [
        (vec![], "no base schema"),
        (bytes(4, schema()), "no expression"),
        ([bytes(4, schema()), bytes(3, "")].concat(), "an expression without content"),
        ([bytes(4, schema()), expression()].concat(), "which it does not declare"),
        ([message(reference(&[0])), bytes(4, schema())].concat(), "the field 4 twice"),
        (message(reference(&[4])), "which is not in its schema"),
        (message(reference(&[-1])), "which is not in its schema"),
        (message(reference(&[1, 1, 0])), "which is not in its schema"),
        (message([n(), i32_of(1)].concat()), "two values"),
        (bytes(4, [bytes(1, "a"), bytes(1, "b"), bytes(2, &number)].concat()), "more names than columns"),
        (bytes(4, bytes(2, &number)), "a column without a name"),
        (bytes(4, [bytes(1, ""), bytes(2, &number)].concat()), "a column without a name"),
        (bytes(4, bytes(1, "a")), "no types of columns"),
    ] {
        let error = Predicate::from_substrait(&bad).unwrap_err();
        assert!(error.kind() == Kind::InvalidArgument && error.message().contains(said), "{said}: {error}");
    }
    assert!(Predicate::from_substrait(&vec![0; MAX_BYTES + 1]).unwrap_err().message().contains("bytes"));
}

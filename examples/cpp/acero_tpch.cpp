// TPC-H queries 1 and 6 by Acero, the engine of Arrow C++, over a table of MaxCompute: `acero_tpch ENDPOINT PROJECT q1|q6`.
//
// The library reads the columns that the query names, and leaves out what a filter on the date allows it to; Acero does the rest on the
// batches as they come. Decimals stay decimals. How the read was planned goes to stderr. Needs C++20, libarrow, libarrow_compute and libarrow_acero: docs/cpp.md.
#include <arrow/acero/api.h>
#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <maxstorage.hpp>
#include <maxstorage/adapters/arrow_reader.hpp>
#include <string>
#include <utility>
#include <vector>

namespace ac = arrow::acero;
namespace cp = arrow::compute;
namespace ms = maxstorage;

namespace {

// ----------------------------------------------------------------------------------------------------------------- expressions

cp::Expression field(const char *name) { return cp::field_ref(name); }

constexpr int32_t days(int year, unsigned month, unsigned day) {
    return static_cast<int32_t>(std::chrono::sys_days(std::chrono::year(year) / month / day).time_since_epoch().count());
}
cp::Expression date(int32_t since_1970) { return cp::literal(std::make_shared<arrow::Date32Scalar>(since_1970)); }

// Decimals with two digits behind the point; the narrow type keeps products of several decimals within 38 digits.
std::shared_ptr<arrow::DataType> rate() { return arrow::decimal128(3, 2); }
std::shared_ptr<arrow::DataType> amount() { return arrow::decimal128(15, 2); }
cp::Expression hundredths(int64_t value, std::shared_ptr<arrow::DataType> type) {
    return cp::literal(std::make_shared<arrow::Decimal128Scalar>(arrow::Decimal128(value), std::move(type)));
}

cp::Expression cast(cp::Expression value, std::shared_ptr<arrow::DataType> type) {
    return cp::call("cast", {std::move(value)}, cp::CastOptions::Safe(std::move(type)));
}
cp::Expression times(cp::Expression a, cp::Expression b) { return cp::call("multiply", {std::move(a), std::move(b)}); }

// ---------------------------------------------------------------------------------------------------------------------- queries

struct Query {
    std::vector<const char *> columns;
    ms::predicate filter;                // what the library may leave out; the plan filters all the same, because a service may not
    std::vector<ac::Declaration> steps;  // what Acero does behind the source
};

Query q1() {
    constexpr int32_t until = days(1998, 9, 3);
    const auto reduced = times(field("l_extendedprice"), cp::call("subtract", {hundredths(100, rate()), cast(field("l_discount"), rate())}));
    const auto charge = times(reduced, cp::call("add", {hundredths(100, rate()), cast(field("l_tax"), rate())}));
    const auto average = [](const char *sum) {  // to the thirteenth digit behind the point
        return cp::call("divide", {cast(field(sum), arrow::decimal128(18, 2)), cast(cast(field("count_order"), arrow::decimal128(19, 0)), arrow::decimal128(10, 0))});
    };
    const std::vector<cp::Aggregate> sums = {{"hash_sum", nullptr, "l_quantity", "sum_qty"},
                                             {"hash_sum", nullptr, "l_extendedprice", "sum_base_price"},
                                             {"hash_sum", nullptr, "reduced", "sum_disc_price"},
                                             {"hash_sum", nullptr, "charge", "sum_charge"},
                                             {"hash_sum", nullptr, "l_discount", "sum_disc"},
                                             {"hash_count_all", "count_order"}};
    std::vector<ac::Declaration> steps;
    steps.emplace_back("filter", ac::FilterNodeOptions(cp::less(field("l_shipdate"), date(until))));
    steps.emplace_back("project",
                       ac::ProjectNodeOptions({field("l_returnflag"), field("l_linestatus"), field("l_quantity"), field("l_extendedprice"),
                                               field("l_discount"), reduced, charge},
                                              {"l_returnflag", "l_linestatus", "l_quantity", "l_extendedprice", "l_discount", "reduced", "charge"}));
    steps.emplace_back("aggregate", ac::AggregateNodeOptions(sums, {"l_returnflag", "l_linestatus"}));
    steps.emplace_back("project", ac::ProjectNodeOptions({field("l_returnflag"), field("l_linestatus"), field("sum_qty"), field("sum_base_price"),
                                                          field("sum_disc_price"), field("sum_charge"), average("sum_qty"),
                                                          average("sum_base_price"), average("sum_disc"), field("count_order")},
                                                         {"l_returnflag", "l_linestatus", "sum_qty", "sum_base_price", "sum_disc_price", "sum_charge",
                                                          "avg_qty", "avg_price", "avg_disc", "count_order"}));
    steps.emplace_back("order_by", ac::OrderByNodeOptions(cp::Ordering({cp::SortKey("l_returnflag"), cp::SortKey("l_linestatus")})));
    return {{"l_returnflag", "l_linestatus", "l_quantity", "l_extendedprice", "l_discount", "l_tax", "l_shipdate"},
            ms::col("l_shipdate") < ms::date{until},
            std::move(steps)};
}

Query q6() {
    constexpr int32_t from = days(1994, 1, 1), until = days(1995, 1, 1);
    const auto matches = cp::and_({cp::greater_equal(field("l_shipdate"), date(from)), cp::less(field("l_shipdate"), date(until)),
                                   cp::greater_equal(field("l_discount"), hundredths(5, amount())), cp::less_equal(field("l_discount"), hundredths(7, amount())),
                                   cp::less(field("l_quantity"), hundredths(2400, amount()))});
    std::vector<ac::Declaration> steps;
    steps.emplace_back("filter", ac::FilterNodeOptions(matches));
    steps.emplace_back("project", ac::ProjectNodeOptions({times(field("l_extendedprice"), field("l_discount"))}, {"revenue"}));
    steps.emplace_back("aggregate", ac::AggregateNodeOptions({{"sum", nullptr, "revenue", "revenue"}}));
    return {{"l_quantity", "l_extendedprice", "l_discount", "l_shipdate"},
            ms::col("l_shipdate") >= ms::date{from} && ms::col("l_shipdate") < ms::date{until},
            std::move(steps)};
}

// ------------------------------------------------------------------------------------------------------------------------- main

arrow::Result<std::shared_ptr<arrow::Table>> run(const char *endpoint, const std::string &project, Query query) {
    ms::options options;
    options.load_environment().endpoint(endpoint).table(project + ".default.lineitem");
    for (const char *column : query.columns) options.add(MS_OPT_COLUMNS, column);
    auto client = ms::client::open(options);
    if (!client) return ms::to_arrow_status(client.error());
    auto session = client->open_session(options, query.filter);
    if (!session) return ms::to_arrow_status(session.error());
    if (const auto plan = session->explain()) std::fprintf(stderr, "%s\n", plan->c_str());
    auto scan = session->open_scan(options);
    if (!scan) return ms::to_arrow_status(scan.error());
    ARROW_ASSIGN_OR_RAISE(auto reader, ms::to_arrow(std::move(*scan)));

    query.steps.insert(query.steps.begin(), {"record_batch_reader_source", ac::RecordBatchReaderSourceNodeOptions(std::move(reader))});
    return ac::DeclarationToTable(ac::Declaration::Sequence(std::move(query.steps)));
}

arrow::Status print(const arrow::Table &table) {
    for (int column = 0; column < table.num_columns(); column++) std::printf("%s%s", column ? "|" : "", table.field(column)->name().c_str());
    std::printf("\n");
    for (int64_t row = 0; row < table.num_rows(); row++) {
        for (int column = 0; column < table.num_columns(); column++) {
            ARROW_ASSIGN_OR_RAISE(const auto value, table.column(column)->GetScalar(row));
            std::printf("%s%s", column ? "|" : "", value->ToString().c_str());
        }
        std::printf("\n");
    }
    return arrow::Status::OK();
}

arrow::Status answer(const char *endpoint, const char *project, Query query) {
    ARROW_RETURN_NOT_OK(cp::Initialize());
    ARROW_ASSIGN_OR_RAISE(const auto table, run(endpoint, project, std::move(query)));
    return print(*table);
}

}  // namespace

int main(int argc, char **argv) {
    const bool first = argc == 4 && std::strcmp(argv[3], "q1") == 0, sixth = argc == 4 && std::strcmp(argv[3], "q6") == 0;
    if (!first && !sixth) return std::fputs("usage: acero_tpch ENDPOINT PROJECT q1|q6\n", stderr), 2;
    const arrow::Status done = answer(argv[1], argv[2], first ? q1() : q6());
    if (!done.ok()) return std::fprintf(stderr, "acero_tpch: %s\n", done.message().c_str()), 1;
    return 0;
}

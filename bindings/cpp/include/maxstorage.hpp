// maxstorage for C++17: the C interface of maxstorage.h with owners, results and ranges. Header-only; link libmaxstorage.
//
//     namespace ms = maxstorage;
//     ms::options options;
//     options.endpoint(url).credentials(id, secret).table("project.schema.table").columns({"a", "b"});
//     auto client = ms::client::open(options);              if (!client) return client.error();
//     auto session = client->open_session(options);         if (!session) return session.error();
//     auto scan = session->open_scan(options);              if (!scan) return scan.error();
//     for (auto &next : scan->batches()) { if (!next) return next.error(); use(*next); }
//
// Owners are move-only and may be destroyed in any order and on any thread. A const member may be called from any thread at any time,
// another one by one thread at a time (a second one gets MS_BUSY). Nothing throws: failures are values of type error, in result<T>;
// <maxstorage/exceptions.hpp> brings or_throw. The rules of each call are those of its function in maxstorage.h.
#ifndef MAXSTORAGE_HPP
#define MAXSTORAGE_HPP

#include "maxstorage/arrow_types.hpp"
#include "maxstorage/cancel.hpp"
#include "maxstorage/client.hpp"
#include "maxstorage/column.hpp"
#include "maxstorage/credentials.hpp"
#include "maxstorage/metrics.hpp"
#include "maxstorage/options.hpp"
#include "maxstorage/predicate.hpp"
#include "maxstorage/process.hpp"
#include "maxstorage/reader.hpp"
#include "maxstorage/result.hpp"
#include "maxstorage/session.hpp"
#include "maxstorage/span.hpp"

#endif

package maxstorage_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sys/unix"

	maxstorage "maxstorage.local/go"
)

const (
	lineitemRows, orderkeys = 60175, 1802759573
	rampRows, rampSum       = 4000, 7998000
)

// id >= 3990, as pyarrow.compute.Expression.to_substrait writes it.
const substrait = "0a5a125868747470733a2f2f6769746875622e636f6d2f7375627374726169742d696f2f7375627374726169742f626c6f622f6d61696e2f65787465" +
	"6e73696f6e732f66756e6374696f6e735f636f6d70617269736f6e2e79616d6c12071a051a036774651a2b0a1d1a1b1a040a021001220a1a0812060a" +
	"021200220022071a050a0338961f1a0a65787072657373696f6e220c0a02696412060a043a0210013a10102c2a0c416365726f2032362e302e31"

var ctx = context.Background()

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func options() maxstorage.Options {
	return maxstorage.Options{
		"endpoint": os.Getenv("MS_TEST_ENDPOINT"), "access_key_id": "local", "access_key_secret": "local", "project": "local",
		"retry.initial_backoff_ms": 20,
	}
}

func open(more ...maxstorage.Option) *maxstorage.Client {
	return must(maxstorage.Open(options(), more...))
}

func read(table string, more ...maxstorage.Option) *maxstorage.Session {
	client := open()
	defer client.Close()
	return must(client.Read(ctx, table, more...))
}

func lineitem(more ...maxstorage.Option) *maxstorage.Session {
	return read("lineitem", append(more, maxstorage.Columns("l_orderkey"))...)
}

// tally is rows, and the sum of the first column.
type tally struct{ rows, sum, longest, batches int64 }

func (t *tally) add(batch arrow.RecordBatch) {
	t.rows += batch.NumRows()
	t.batches++
	t.longest = max(t.longest, batch.NumRows())
	if numbers, ok := batch.Column(0).(*array.Int64); ok {
		for i := range numbers.Len() {
			t.sum += numbers.Value(i)
		}
	}
}

func (t *tally) drain(split *maxstorage.Split) error {
	defer split.Close()
	for batch, err := range split.Batches(ctx) {
		if err != nil {
			return err
		}
		t.add(batch)
	}
	return nil
}

func readAll(session *maxstorage.Session, more ...maxstorage.Option) (all tally, err error) {
	defer session.Close()
	for i := range session.Splits() {
		if err := all.drain(must(session.Split(i, more...))); err != nil {
			return all, err
		}
	}
	return all, nil
}

func isLineitem(t *testing.T, all tally) {
	t.Helper()
	if all.rows != lineitemRows || all.sum != orderkeys {
		t.Errorf("%d rows with checksum %d", all.rows, all.sum)
	}
}

func check(t *testing.T, holds bool, what ...any) {
	t.Helper()
	if !holds {
		t.Error(append([]any{"not so:"}, what...)...)
	}
}

// fails is the error with a code, or the end of the test.
func fails(t *testing.T, code maxstorage.Code, err error) *maxstorage.Error {
	t.Helper()
	var failure *maxstorage.Error
	if !errors.Is(err, code) || !errors.As(err, &failure) {
		t.Fatalf("%v instead of %v", err, code)
	}
	return failure
}

// failure is what planning or reading a table ends with.
func failure(client *maxstorage.Client, table string, more ...maxstorage.Option) error {
	defer client.Close()
	session, err := client.Read(ctx, table, more...)
	if err != nil {
		return err
	}
	_, err = readAll(session)
	return err
}

func oneSplit(table string) *maxstorage.Split {
	session := read(table, maxstorage.SplitByCount(1))
	defer session.Close()
	return must(session.Split(0))
}

func scanWith(t *testing.T, goroutines int, ordered bool) {
	session := lineitem(maxstorage.SplitByRows(5000))
	defer session.Close()
	scan := must(session.Scan(maxstorage.Set("scan.ordered", ordered)))
	defer scan.Close()
	var lock sync.Mutex
	var wait sync.WaitGroup
	var all tally
	for range goroutines {
		wait.Go(func() {
			for last := int64(-1); ; {
				batch, split, err := scan.Next(ctx)
				lock.Lock()
				if err != nil || batch == nil {
					check(t, err == nil, err)
					lock.Unlock()
					return
				}
				check(t, !ordered || split >= last, "order")
				last = split
				all.add(batch)
				lock.Unlock()
				batch.Release()
			}
		})
	}
	wait.Wait()
	isLineitem(t, all)
}

// where reads what a filter lets through of ramp, and frees the filter.
func where(filter *maxstorage.Predicate) tally {
	defer filter.Close()
	client := open(maxstorage.Exact())
	defer client.Close()
	return must(readAll(must(client.ReadWhere(ctx, "ramp", filter))))
}

func drainReader(t *testing.T, reader array.RecordReader) (all tally) {
	defer reader.Release()
	for reader.Next() {
		all.add(reader.RecordBatch())
	}
	check(t, reader.Err() == nil, reader.Err())
	return all
}

// poll takes batches until the end without blocking in the library; it waits for a channel, or for a descriptor if that is nil.
func poll(t *testing.T, next func() (arrow.RecordBatch, bool, error), woken <-chan struct{}, fd int, all *tally) {
	for {
		batch, pending, err := next()
		check(t, err == nil, err)
		switch {
		case pending && woken != nil:
			select {
			case <-woken:
			case <-time.After(10 * time.Second):
				t.Fatal("no wake")
			}
		case pending:
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			count, err := unix.Poll(ready, 10000)
			if check(t, count == 1 || err == unix.EINTR, err); t.Failed() {
				return
			}
		case batch == nil:
			return
		default:
			all.add(batch)
			batch.Release()
		}
	}
}

// accounting is a host that counts the memory it lends, and refuses what is beyond its limit.
type accounting struct{ held, asked, limit atomic.Int64 }

func (a *accounting) hooks() maxstorage.Option {
	return maxstorage.MemoryHooks(func(bytes int) bool {
		a.asked.Add(1)
		if a.held.Add(int64(bytes)) <= a.limit.Load() {
			return true
		}
		a.held.Add(-int64(bytes))
		return false
	}, func(bytes int) { a.held.Add(-int64(bytes)) })
}

// cancelled has something cancelled while a goroutine waits in `next`.
func cancelled(t *testing.T, next func() error, cancel func()) {
	woke := make(chan error)
	go func() { woke <- next() }()
	time.Sleep(200 * time.Millisecond)
	cancel()
	select {
	case err := <-woke:
		fails(t, maxstorage.Cancelled, err)
		check(t, errors.Is(err, context.Canceled), err)
	case <-time.After(time.Second):
		t.Fatal("not within a second")
	}
}

var scenarios = map[string]func(*testing.T){
	"versions": func(t *testing.T) { // another ABI ends the program when it starts
		check(t, maxstorage.Version() != "" && strings.Contains(maxstorage.BuildInfo(), maxstorage.Version()), maxstorage.BuildInfo())
		check(t, maxstorage.Features()&2 != 0) // MS_FEATURE_SCANS
	},
	"read_all_rows":  func(t *testing.T) { isLineitem(t, must(readAll(lineitem()))) },
	"split_by_count": func(t *testing.T) { isLineitem(t, must(readAll(lineitem(maxstorage.SplitByCount(8))))) },
	"split_by_rows": func(t *testing.T) {
		session := lineitem(maxstorage.SplitByRows(2500))
		defer session.Close()
		check(t, session.Splits() == 25, session.Splits())
		var all tally
		for i := range session.Splits() {
			before := all.rows
			check(t, all.drain(must(session.Split(i))) == nil)
			check(t, all.rows-before <= 2500)
		}
		isLineitem(t, all)
	},
	"split_by_bucket": func(t *testing.T) {
		session := read("clustered", maxstorage.SplitByBucket())
		check(t, session.Splits() == 8)
		all := must(readAll(session))
		check(t, all.rows == 100 && all.sum == 4950, all)
	},
	"projection": func(t *testing.T) {
		session := read("nation", maxstorage.Columns("n_name", "n_nationkey"))
		defer session.Close()
		schema := must(session.Schema())
		check(t, schema.NumFields() == 2 && schema.Field(0).Name == "n_name" && schema.Field(1).Name == "n_nationkey", schema)

		common := append(make([]maxstorage.Option, 0, 2), maxstorage.SplitByCount(1))
		one := append(common, maxstorage.Columns("n_name")) // in the room behind common
		read("nation", common...).Close()
		narrow := read("nation", one...)
		defer narrow.Close()
		check(t, must(narrow.Schema()).NumFields() == 1, "a call wrote into the options of its caller")
	},
	"partitions": func(t *testing.T) {
		session := read("parted", maxstorage.Partitions("ds=20260101"))
		schema := must(session.Schema())
		check(t, schema.NumFields() == 4 && schema.Field(2).Name == "ds" && schema.Field(3).Name == "region", schema)
		all := must(readAll(session))
		check(t, all.rows == 2000 && all.sum == 2*499500, all)
	},
	"splits_while_planning": func(t *testing.T) {
		session := read("parted", maxstorage.Partitions("ds=20260101", "ds=20260102"), maxstorage.Set("plan.wait", "first"),
			maxstorage.Set("plan.partitions_per_session", 1))
		worker := open()
		defer worker.Close()
		var all tally
		count := int64(0)
		for index, err := range session.SplitNumbers(ctx) {
			check(t, err == nil && index == count, index, err)
			count++
			attached := must(worker.Attach(must(session.SplitToken(index, index%2 == 1))))
			must(0, all.drain(must(attached.Split(index))))
			attached.Close()
		}
		known, complete, pending, err := session.TryMoreSplits(count)
		check(t, all.rows == 4000 && all.sum == 2*499500+1999000 && known == count && complete && !pending && err == nil, all, known)
		session.Close()
	},
	"every_type": func(t *testing.T) {
		session := read("all_types")
		defer session.Close()
		types := strings.Fields("int8 int16 int32 int64 float32 float64 bool utf8 utf8 utf8 binary decimal decimal decimal date32 timestamp timestamp timestamp month_interval day_time_interval list map struct list")
		schema := must(session.Schema())
		check(t, schema.NumFields() == len(types), schema)
		for i, name := range types {
			check(t, strings.HasPrefix(schema.Field(i).Type.Name(), name), schema.Field(i))
		}
		split := must(session.Split(0))
		defer split.Close()
		batch := must(split.Next(ctx))
		defer batch.Release()
		check(t, batch.NumRows() == 4)
		for _, column := range batch.Columns() {
			for row := range 4 {
				check(t, column.IsNull(row) == (row == 2), column.DataType(), row)
			}
		}
	},
	"large_offsets": func(t *testing.T) {
		columns := maxstorage.Columns("c_string", "c_binary", "c_array", "c_map", "c_struct")
		session := read("all_types", columns, maxstorage.Set("types.large_offsets", true))
		defer session.Close()
		for i, name := range strings.Fields("large_utf8 large_binary large_list map struct") {
			check(t, must(session.Schema()).Field(i).Type.Name() == name, must(session.Schema()))
		}
		small := read("all_types", columns)
		defer small.Close()
		first := func(session *maxstorage.Session) arrow.RecordBatch {
			split := must(session.Split(0))
			defer split.Close()
			return must(split.Next(ctx))
		}
		large, plain := first(session), first(small)
		defer large.Release()
		defer plain.Release()
		check(t, large.NumRows() == 4)
		for i, column := range large.Columns() {
			for row := range 4 {
				check(t, column.ValueStr(row) == plain.Column(i).ValueStr(row), column.DataType(), row)
			}
		}
	},
	"dictionaries": func(t *testing.T) {
		texts := 0
		// How many rows have the priority 1-URGENT.
		urgent := func(options ...maxstorage.Option) (found int) {
			session := read("orders", append(options, maxstorage.Columns("o_orderkey", "o_orderpriority"))...)
			defer session.Close()
			reader := must(must(session.Scan()).Reader())
			defer reader.Release()
			for reader.Next() {
				column := reader.RecordBatch().Column(1)
				if keyed, ok := column.(*array.Dictionary); ok {
					texts = max(texts, keyed.Dictionary().Len())
				}
				for row := range column.Len() {
					if column.ValueStr(row) == "1-URGENT" {
						found++
					}
				}
			}
			check(t, reader.Err() == nil, reader.Err())
			return found
		}
		plain := urgent()
		check(t, texts == 0 && plain > 2000, plain)
		keyed := urgent(maxstorage.Set("types.dictionary", []string{"o_orderpriority"}))
		check(t, texts == 5 && keyed == plain, texts, keyed, plain)
		session := read("orders", maxstorage.Set("types.dictionary", "*"))
		defer session.Close()
		kind := must(session.Schema()).Field(2).Type.(*arrow.DictionaryType)
		check(t, kind.IndexType.ID() == arrow.INT32 && kind.ValueType.ID() == arrow.STRING, kind)
		split := must(session.Split(0))
		defer split.Close()
		batch := must(split.Next(ctx))
		defer batch.Release()
		check(t, batch.Column(2).(*array.Dictionary).Dictionary().Len() > 0)
	},
	"time_zone": func(t *testing.T) {
		first := func(zone string) (arrow.RecordBatch, *arrow.Schema) {
			session := read("all_types", maxstorage.Columns("c_datetime", "c_timestamp", "c_timestamp_ntz"), maxstorage.Set("types.time_zone", zone))
			defer session.Close()
			split := must(session.Split(0))
			defer split.Close()
			return must(split.Next(ctx)), must(session.Schema())
		}
		there, schema := first("Asia/Shanghai")
		defer there.Release()
		utc, _ := first("UTC")
		defer utc.Release()
		for i, zone := range []string{"Asia/Shanghai", "Asia/Shanghai", ""} {
			check(t, schema.Field(i).Type.(*arrow.TimestampType).TimeZone == zone, schema.Field(i))
			check(t, slices.Equal(there.Column(i).(*array.Timestamp).Values(), utc.Column(i).(*array.Timestamp).Values()), i)
		}
	},
	"lz4":  func(t *testing.T) { isLineitem(t, must(readAll(lineitem(), maxstorage.Compression("lz4")))) },
	"zstd": func(t *testing.T) { isLineitem(t, must(readAll(lineitem(), maxstorage.Compression("zstd")))) },
	"batch_rows": func(t *testing.T) {
		all := must(readAll(read("orders", maxstorage.Columns("o_orderkey")), maxstorage.Set("read.batch_rows", 100)))
		check(t, all.rows == 15000 && all.longest <= 100, all)
		session := read("orders", maxstorage.Columns("o_orderkey"), maxstorage.SplitByCount(1))
		defer session.Close()
		split, scan := must(session.Split(0)), must(session.Scan())
		defer split.Close()
		defer scan.Close()
		for _, limit := range [][4]int64{{5, 0, 5, 5}, {2, 0, 2, 2}, {0, 80, 1, 10}, {0, 0, 100, 1 << 20}} {
			check(t, split.SetBatchLimits(limit[0], limit[1]) == nil && scan.SetBatchLimits(limit[0], limit[1]) == nil, limit)
			one := must(split.Next(ctx))
			other, _, err := scan.Next(ctx)
			check(t, err == nil, err)
			for _, batch := range []arrow.RecordBatch{one, other} {
				check(t, batch.NumRows() >= limit[2] && batch.NumRows() <= limit[3], limit, batch.NumRows())
				batch.Release()
			}
		}
	},
	"row_range": func(t *testing.T) {
		session := read("ramp", maxstorage.SplitByCount(1))
		defer session.Close()
		split := must(session.Split(0, maxstorage.Set("read.start_row", 1000), maxstorage.Set("read.row_count", 500)))
		defer split.Close()
		var some tally
		for batch, err := range split.Batches(ctx) {
			check(t, err == nil, err)
			some.add(batch)
		}
		check(t, some.rows == 500 && some.sum == 500*(1000+1499)/2 && split.RowsDelivered() == 500, some)
	},
	"protocol_2": func(t *testing.T) {
		client := open(maxstorage.Set("protocol", 2))
		defer client.Close()
		isLineitem(t, must(readAll(must(client.Read(ctx, "lineitem", maxstorage.Columns("l_orderkey"))))))
	},
	"empty_table": func(t *testing.T) { check(t, must(readAll(read("empty"))).batches == 0) },
	"token": func(t *testing.T) {
		session := lineitem()
		token := must(session.Token())
		session.Close()
		client := open()
		defer client.Close()
		isLineitem(t, must(readAll(must(client.Attach(token)))))
	},
	"json_token": func(t *testing.T) {
		session := lineitem()
		defer session.Close()
		token := must(session.TokenJSON())
		client := open()
		defer client.Close()
		var fields map[string]any
		decoder := json.NewDecoder(bytes.NewReader(token))
		decoder.UseNumber() // expiry times have more digits than a float
		check(t, decoder.Decode(&fields) == nil, string(token))
		fields["@type"] = "split"
		anew := must(json.MarshalIndent(fields, "", "  "))
		isLineitem(t, must(readAll(must(client.Attach(anew)))))
		fields["table"] = "lineitex"
		_, err := client.Attach(must(json.Marshal(fields)))
		fails(t, maxstorage.InvalidArgument, err)
	},
	"damaged_token": func(t *testing.T) {
		session := read("nation")
		defer session.Close()
		token := must(session.Token())
		token[len(token)/2] ^= 1
		client := open()
		defer client.Close()
		_, err := client.Attach(token)
		fails(t, maxstorage.InvalidArgument, err)
	},
	"scan_unordered": func(t *testing.T) { scanWith(t, 1, false) },
	"scan_ordered":   func(t *testing.T) { scanWith(t, 1, true) },
	"scan_threads":   func(t *testing.T) { scanWith(t, 4, false) },
	"stream": func(t *testing.T) {
		session := lineitem()
		defer session.Close()
		isLineitem(t, drainReader(t, must(must(session.Scan()).Reader())))
		session = read("nation", maxstorage.SplitByCount(1))
		defer session.Close()
		split := must(session.Split(0))
		check(t, split.Notify(make(chan struct{}, 1)) == nil)
		all := drainReader(t, must(split.Reader()))
		check(t, all.rows == 25, all)
	},
	"batches_outlive_owners": func(t *testing.T) {
		split := oneSplit("nation")
		batch := must(split.Next(ctx))
		split.Close()
		var all tally
		all.add(batch)
		batch.Release()
		check(t, all.rows == 25 && all.sum == 300, all)
	},
	"no_copy": func(t *testing.T) {
		split := oneSplit("nation")
		defer split.Close()
		batch, address, err := maxstorage.NextWithAddress(split, ctx)
		check(t, err == nil, err)
		defer batch.Release()
		check(t, address != 0 && address == maxstorage.AddressOfValues(batch.Column(0)), "a copy")
	},
	"polling": func(t *testing.T) {
		session := lineitem(maxstorage.SplitByCount(4))
		defer session.Close()
		var all tally
		for i := range session.Splits() {
			split := must(session.Split(i))
			var woken chan struct{}
			if i%2 == 0 { // by a channel, or by the descriptor
				woken = make(chan struct{}, 1)
				check(t, split.Notify(woken) == nil)
			}
			poll(t, split.TryNext, woken, split.ReadyFD(), &all)
			split.Close()
		}
		isLineitem(t, all)
	},
	"scan_polling": func(t *testing.T) {
		session := lineitem(maxstorage.SplitByCount(4))
		defer session.Close()
		for _, woken := range []chan struct{}{make(chan struct{}, 1), nil} {
			scan := must(session.Scan())
			if woken != nil {
				check(t, scan.Notify(woken) == nil)
			}
			var all tally
			poll(t, func() (arrow.RecordBatch, bool, error) {
				batch, split, pending, err := scan.TryNext()
				check(t, (batch == nil) == (split == -1), split)
				return batch, pending, err
			}, woken, scan.ReadyFD(), &all)
			scan.Close()
			isLineitem(t, all)
		}
	},
	"cancel_wakes": func(t *testing.T) {
		split := oneSplit("fault_stall")
		defer split.Close()
		stopped, stop := context.WithCancel(ctx)
		cancelled(t, func() error { _, err := split.Next(stopped); return err }, stop)
	},
	"cancel_stays": func(t *testing.T) {
		split := oneSplit("nation")
		defer split.Close()
		split.Cancel()
		for range 3 {
			_, err := split.Next(ctx)
			fails(t, maxstorage.Cancelled, err)
		}
	},
	"cancel_scan": func(t *testing.T) {
		session := read("fault_stall")
		defer session.Close()
		scan := must(session.Scan())
		defer scan.Close()
		stopped, stop := context.WithCancel(ctx)
		cancelled(t, func() error { _, _, err := scan.Next(stopped); return err }, stop)
	},
	"cancel_planning": func(t *testing.T) {
		client := open()
		defer client.Close()
		stopped, stop := context.WithCancel(ctx)
		cancelled(t, func() error { _, err := client.Read(stopped, "fault_plan"); return err }, stop)
	},
	"cancel_reads": func(t *testing.T) {
		session := read("fault_stall")
		defer session.Close()
		split := must(session.Split(0))
		defer split.Close()
		scan := must(session.Scan())
		defer scan.Close()
		stopped, stop := context.WithCancel(ctx)
		ended := make(chan error)
		go func() { _, err := split.Next(stopped); ended <- err }()
		go func() { _, _, err := scan.Next(stopped); ended <- err }()
		time.Sleep(100 * time.Millisecond)
		stop()
		for range 2 {
			fails(t, maxstorage.Cancelled, <-ended)
		}
		_, err := split.Next(stopped) // and what comes later ends at once
		fails(t, maxstorage.Cancelled, err)
	},
	"calls_end": func(t *testing.T) {
		client, session := open(), read("nation")
		defer client.Close()
		defer session.Close()
		soon, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		defer stop()
		_, err := client.Read(soon, "fault_plan")
		fails(t, maxstorage.DeadlineExceeded, err)
		none := func(arrow.RecordBatch) error { return nil }
		// The context is over before, or while the list is taken.
		check(t, errors.Is(client.Tables(soon, "", "", "", none), context.DeadlineExceeded))
		check(t, errors.Is(session.Refresh(soon), context.DeadlineExceeded))
		stopped, cancel := context.WithCancel(ctx)
		defer cancel()
		var batches int
		err = client.Preview(stopped, "lineitem", 10000, func(arrow.RecordBatch) error {
			batches++
			cancel()
			return nil
		})
		check(t, batches == 1 && errors.Is(err, context.Canceled), batches, err)
		check(t, client.Tables(ctx, "", "", "", none) == nil && session.Refresh(ctx) == nil)
	},
	"deadline": func(t *testing.T) {
		split := oneSplit("fault_stall")
		defer split.Close()
		soon, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		defer stop()
		_, err := split.Next(soon)
		fails(t, maxstorage.DeadlineExceeded, err)
		check(t, errors.Is(err, context.DeadlineExceeded), err)
		split.Cancel()
		_, err = split.Next(ctx)
		fails(t, maxstorage.Cancelled, err)
		session := read("fault_stall")
		defer session.Close()
		scan := must(session.Scan())
		defer scan.Close()
		for range 2 {
			soon, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			_, _, err = scan.Next(soon)
			stop()
			fails(t, maxstorage.DeadlineExceeded, err)
		}
		scan.Cancel()
		_, _, err = scan.Next(ctx)
		fails(t, maxstorage.Cancelled, err)
	},
	"resume": func(t *testing.T) {
		split := oneSplit("fault_cut")
		all := tally{}
		for batch, err := range split.Batches(ctx) {
			check(t, err == nil, err)
			all.add(batch)
		}
		check(t, all.rows == rampRows && all.sum == rampSum && must(split.Metrics())["resumes"] == 1, all)
		split.Close()
	},
	"throttled": func(t *testing.T) {
		split := oneSplit("fault_throttle")
		rows := int64(0)
		for batch, err := range split.Batches(ctx) {
			check(t, err == nil, err)
			rows += batch.NumRows()
		}
		check(t, rows == rampRows && must(split.Metrics())["requests"] == 2, rows)
		split.Close()
	},
	"timeout": func(t *testing.T) {
		client := open(maxstorage.Set("read_idle_timeout_ms", 300), maxstorage.Set("retry.max_attempts", 1))
		check(t, fails(t, maxstorage.Timeout, failure(client, "fault_stall")).Retryable)
	},
	"corrupt": func(t *testing.T) {
		err := fails(t, maxstorage.CorruptData, failure(open(), "fault_corrupt"))
		check(t, !err.Retryable && err.RequestID != "", err)
	},
	"schema_mismatch": func(t *testing.T) { fails(t, maxstorage.SchemaMismatch, failure(open(), "fault_schema")) },
	"expired":         func(t *testing.T) { fails(t, maxstorage.SessionExpired, failure(open(), "fault_expired")) },
	"refresh": func(t *testing.T) {
		session := read("nation")
		defer session.Close()
		before := session.ExpiresAt()
		check(t, session.Refresh(ctx) == nil && session.ExpiresAt() >= before)
	},
	"unknown_option": func(t *testing.T) {
		_, err := maxstorage.Open(options(), maxstorage.Set("tabel", "x"))
		check(t, strings.Contains(fails(t, maxstorage.InvalidOption, err).Message, "table"), err)
	},
	"missing_table": func(t *testing.T) {
		err := fails(t, maxstorage.NotFound, failure(open(), "no_such_table"))
		check(t, err.HTTPStatus == 404 && err.RequestID != "" && err.ServerCode != "", err)
		check(t, strings.Contains(err.JSON, err.RequestID) && strings.Contains(err.JSON, "MS_NOT_FOUND"), err.JSON)
	},
	"wrong_secret": func(t *testing.T) {
		fails(t, maxstorage.Unauthenticated, failure(open(maxstorage.Set("access_key_secret", "wrong")), "nation"))
	},
	"quota_denied": func(t *testing.T) {
		fails(t, maxstorage.QuotaDenied, failure(open(maxstorage.Set("quota", "pay-as-you-go")), "nation"))
	},
	"view": func(t *testing.T) { fails(t, maxstorage.TableKindUnsupported, failure(open(), "view_of_nation")) },
	"nobody_listens": func(t *testing.T) {
		nobody := open(maxstorage.Set("endpoint", "http://127.0.0.1:1/api"), maxstorage.Set("retry.max_attempts", 2))
		err := fails(t, maxstorage.Connection, failure(nobody, "nation"))
		check(t, err.Retryable && err.Attempts == 2, err)
		// The host decides about each further attempt.
		var asked atomic.Int64
		decided := open(maxstorage.Set("endpoint", "http://127.0.0.1:1/api"), maxstorage.Set("retry.max_attempts", 5),
			maxstorage.RetryHook(func(err *maxstorage.Error, elapsed, planned time.Duration) time.Duration {
				if asked.Add(1) < 3 && err.Code == maxstorage.Connection && planned >= 0 {
					return 0
				}
				return -1
			}))
		err = fails(t, maxstorage.Connection, failure(decided, "nation"))
		check(t, err.Attempts == 3 && asked.Load() == 3, err)
	},
	"bad_filter": func(t *testing.T) {
		fails(t, maxstorage.InvalidArgument, failure(open(), "nation", maxstorage.FilterText("n_name >>> (")))
	},
	"filter_text": func(t *testing.T) {
		check(t, must(readAll(read("ramp", maxstorage.FilterText("id >= 1000 and id < 1010"), maxstorage.Exact()))).rows == 10)
	},
	"compare": func(t *testing.T) {
		all := where(maxstorage.Compare("id", maxstorage.GE, 3990))
		check(t, all.rows == 10 && all.sum == 39945, all)
		check(t, where(maxstorage.Compare("c_date", maxstorage.LT, arrow.Date32(0))).rows > 0)
	},
	"in_list": func(t *testing.T) {
		check(t, where(maxstorage.In("id", 1, 2, nil, 5000)).rows == 2)
		check(t, maxstorage.In("id", 1, 2.5).Err() != nil && maxstorage.In("id", true, 2).Err() != nil)
		builder := array.NewInt64Builder(memory.DefaultAllocator) // memory of Go, of which nothing may stay with C
		defer builder.Release()
		builder.AppendValues([]int64{1, 2, 5000}, nil)
		values := builder.NewArray()
		defer values.Release()
		check(t, where(maxstorage.In("id", values)).rows == 2)
	},
	"combined": func(t *testing.T) {
		ends := maxstorage.Or(maxstorage.Compare("id", maxstorage.LT, 10), maxstorage.Compare("id", maxstorage.GE, 3990))
		check(t, where(maxstorage.And(ends, maxstorage.Not(maxstorage.IsNull("c_int")))).rows == 18)
	},
	"substrait": func(t *testing.T) {
		message, err := hex.DecodeString(substrait)
		all := where(maxstorage.FromSubstrait(message))
		check(t, err == nil && all.rows == 10 && all.sum == 39945, all)
		fails(t, maxstorage.InvalidArgument, maxstorage.FromSubstrait(message[1:]).Err())
	},
	"runtime_filter": func(t *testing.T) {
		split := oneSplit("ramp")
		filter := maxstorage.Compare("id", maxstorage.GE, 3990)
		defer filter.Close()
		check(t, split.AddFilter(filter) == nil)
		var all tally
		check(t, all.drain(split) == nil && all.rows == 10 && all.sum == 39945, all)
	},
	"tables": func(t *testing.T) {
		client := open()
		defer client.Close()
		found := 0
		check(t, client.Tables(ctx, "", "default", "", func(batch arrow.RecordBatch) error {
			names := batch.Column(2).(*array.String)
			for i := range names.Len() {
				if names.Value(i) == "lineitem" || names.Value(i) == "parted" {
					found++
				}
			}
			return nil
		}) == nil)
		check(t, found == 2, found)
	},
	"table_schema": func(t *testing.T) {
		client := open()
		defer client.Close()
		schema := must(client.TableSchema(ctx, "parted"))
		kind, _ := schema.Field(0).Metadata.GetValue("maxcompute.type")
		key, _ := schema.Field(2).Metadata.GetValue("maxcompute.partition_key")
		check(t, schema.NumFields() == 4 && kind == "bigint" && key == "true", schema)
	},
	"table_details": func(t *testing.T) {
		client := open()
		defer client.Close()
		err := client.TableDetails(ctx, "clustered", func(batch arrow.RecordBatch) error {
			at := func(name string) arrow.Array { return batch.Column(batch.Schema().FieldIndices(name)[0]) }
			check(t, at("kind").(*array.String).Value(0) == "table" && at("cluster_kind").(*array.String).Value(0) == "hash", batch)
			check(t, at("buckets").(*array.Int64).Value(0) == 8, batch)
			return nil
		})
		check(t, err == nil, err)
	},
	"partitions_listed": func(t *testing.T) {
		client := open()
		defer client.Close()
		count := func(filter *maxstorage.Predicate) (rows int64) {
			err := client.Partitions(ctx, "parted", filter, func(batch arrow.RecordBatch) error {
				rows += batch.NumRows()
				return nil
			})
			check(t, err == nil, err)
			return rows
		}
		second := maxstorage.Compare("ds", maxstorage.EQ, "20260102")
		defer second.Close()
		check(t, count(nil) == 3 && count(second) == 1)
	},
	"preview": func(t *testing.T) {
		client := open()
		defer client.Close()
		rows := int64(0)
		err := client.Preview(ctx, "nation", 5, func(batch arrow.RecordBatch) error {
			rows += batch.NumRows()
			return nil
		})
		check(t, err == nil && rows == 5, err, rows)
	},
	"diagnose": func(t *testing.T) {
		for _, secret := range []string{"local", "wrong"} {
			client := open(maxstorage.Set("access_key_secret", secret))
			steps := int64(0)
			err := client.Diagnose(ctx, "nation", func(batch arrow.RecordBatch) error {
				steps += batch.NumRows()
				step, status := batch.Column(0).(*array.String), batch.Column(1).(*array.String)
				for i := range step.Len() {
					check(t, (status.Value(i) == "failed") == (secret == "wrong" && step.Value(i) == "signature"), step.Value(i), status.Value(i))
				}
				return nil
			})
			check(t, err == nil && steps == 10, err, steps)
			client.Close()
		}
	},
	"explain": func(t *testing.T) {
		session := read("ramp", maxstorage.FilterText("id >= 1000"), maxstorage.SplitByRows(1500))
		defer session.Close()
		json := string(must(session.Explain()))
		check(t, strings.Contains(json, `"split_count":3`) && strings.Contains(json, "EXACT"), json)
		last := must(session.SplitInfo(2))
		check(t, last.StartRow == 3000 && last.Rows == 1000, last)
	},
	"memory_budget": func(t *testing.T) {
		client := open(maxstorage.Set("limits.memory_bytes", 8<<20))
		defer client.Close()
		session := must(client.Read(ctx, "lineitem", maxstorage.Columns("l_orderkey")))
		defer session.Close()
		scan := must(session.Scan())
		var all tally
		for batch, err := range scan.Batches(ctx) {
			check(t, err == nil, err)
			all.add(batch)
		}
		scan.Close()
		isLineitem(t, all)
		peak := must(client.Metrics())["memory_peak"]
		check(t, peak > 0 && peak <= 12<<20, peak)
	},
	"credentials_provider": func(t *testing.T) {
		asked := 0
		client := open(maxstorage.Set("access_key_id", ""), maxstorage.Set("access_key_secret", ""), maxstorage.CredentialsProvider(func() (maxstorage.Credentials, error) {
			asked++
			return maxstorage.Credentials{AccessKeyID: "local", AccessKeySecret: "local"}, nil
		}))
		defer client.Close()
		check(t, must(readAll(must(client.Read(ctx, "nation")))).rows == 25 && asked > 0, asked)
	},
	"metrics": func(t *testing.T) {
		session := read("nation")
		defer session.Close()
		for range 2 {
			split := must(session.Split(0))
			for batch, err := range split.Batches(ctx) {
				check(t, err == nil && batch.NumRows() > 0, err)
			}
			all := must(split.Metrics())
			check(t, all["rows"] == 25 && all["bytes_wire"] > 0 && split.AllRequested(), all)
			split.Close()
		}
		sums := must(session.Metrics())
		check(t, sums["rows"] == 50 && sums["reads"] == 2, sums)
		var told []any
		split := must(session.Split(0, maxstorage.OnReadEnd(func(split int64, outcome maxstorage.Code, metrics maxstorage.Metrics) {
			told = append(told, split, outcome, metrics["rows"])
		})))
		split.Close()
		check(t, len(told) == 3 && told[0] == int64(0) && told[1] == maxstorage.Cancelled && told[2] == int64(0), told)
	},
	"log": func(t *testing.T) {
		var lock sync.Mutex
		records := 0
		check(t, maxstorage.SetLog(maxstorage.LevelDebug, func(level maxstorage.Level, target, message string) {
			lock.Lock()
			defer lock.Unlock()
			records++
		}) == nil)
		must(readAll(read("nation")))
		check(t, maxstorage.SetLog(0, nil) == nil)
		seen := records
		must(readAll(read("nation")))
		check(t, seen > 0 && records == seen, seen, records)
		var spans []maxstorage.Span
		traced := open(maxstorage.Set("trace.parent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), maxstorage.OnSpan(func(span maxstorage.Span) {
			lock.Lock()
			defer lock.Unlock()
			spans = append(spans, span)
		}))
		defer traced.Close()
		must(readAll(must(traced.Read(ctx, "nation"))))
		lock.Lock()
		defer lock.Unlock()
		names := map[string]bool{}
		for _, span := range spans {
			names[span.Name] = true
			check(t, span.ParentSpanID == "00f067aa0ba902b7" && span.Status == 0 && span.End > span.Start && span.HTTPStatus/100 == 2, span)
			check(t, (span.Split != nil) == (span.Name == "maxstorage.read"), span)
		}
		check(t, names["maxstorage.plan"] && names["maxstorage.read"], spans)
	},
	"bearer_token": func(t *testing.T) {
		client := open(maxstorage.Set("access_key_id", ""), maxstorage.Set("access_key_secret", ""), maxstorage.CredentialsProvider(func() (maxstorage.Credentials, error) {
			return maxstorage.Credentials{BearerToken: "conformance", Expires: time.Now().Add(time.Hour)}, nil
		}))
		defer client.Close()
		check(t, must(readAll(must(client.Read(ctx, "nation")))).rows == 25)
	},
	"options_described": func(t *testing.T) {
		described := map[string]string{}
		check(t, options().Describe(func(batch arrow.RecordBatch) error {
			keys, values := batch.Column(0).(*array.String), batch.Column(5).(*array.String)
			for i := range keys.Len() {
				described[strings.Clone(keys.Value(i))] = strings.Clone(values.ValueStr(i))
			}
			return nil
		}) == nil)
		check(t, described["project"] == "local" && described["access_key_secret"] == "***" && described["table"] == array.NullValueStr, described)
	},
	"memory_hooks": func(t *testing.T) {
		var host accounting
		host.limit.Store(1 << 40)
		client := open(host.hooks())
		isLineitem(t, must(readAll(must(client.Read(ctx, "lineitem", maxstorage.Columns("l_orderkey"))))))
		client.Close()
		check(t, host.asked.Load() > 0)
		for end := time.Now().Add(5 * time.Second); host.held.Load() != 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // a reader may be about to end
		}
		check(t, host.held.Load() == 0, host.held.Load())
	},
	"memory_refused": func(t *testing.T) {
		var host accounting
		fails(t, maxstorage.ResourceExhausted, failure(open(host.hooks()), "nation"))
		check(t, host.asked.Load() > 0 && host.held.Load() == 0, host.held.Load())
	},
	"shutdown": func(t *testing.T) {
		client := open()
		fails(t, maxstorage.WrongState, maxstorage.Shutdown(0))
		client.Close()
		check(t, maxstorage.Shutdown(10*time.Second) == nil)
		check(t, must(readAll(read("nation"))).rows == 25)
	},
	"forgotten_handles": func(t *testing.T) { // besides the common list: the garbage collector frees them
		func() {
			session := must(open().Read(ctx, "nation"))
			check(t, must(session.Scan()).Notify(make(chan struct{}, 1)) == nil)
			must(session.Split(0))
			maxstorage.IsNull("n_comment")
		}()
		check(t, maxstorage.LiveHandles() > 0)
		for end := time.Now().Add(10 * time.Second); maxstorage.LiveHandles() != 0 && time.Now().Before(end); {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	},
	"nothing_left": func(t *testing.T) { check(t, maxstorage.LiveHandles() == 0, maxstorage.LiveHandles()) },
}

func TestConformance(t *testing.T) {
	if os.Getenv("MS_TEST_ENDPOINT") == "" {
		t.Fatal("MS_TEST_ENDPOINT is not set: run this through tests/conformance/run go")
	}
	names := make([]string, 0, len(scenarios))
	for name := range scenarios {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			scenarios[name](t)
			runtime.GC() // nothing may be left for it
			check(t, maxstorage.LiveHandles() == 0, maxstorage.LiveHandles(), "handles are alive")
		})
	}
}

// Writes the franz-* topics: go run . BOOTSTRAP. The samples are those of Golden.java.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const t0 = 1_700_000_000_000

func pattern(length int) []byte {
	var text strings.Builder
	for i := 0; text.Len() < length; i++ {
		fmt.Fprintf(&text, "line %d of a compressible value\n", i)
	}
	return []byte(text.String()[:length])
}

func noise(length int) []byte {
	bytes := make([]byte, length)
	rand.New(rand.NewSource(42)).Read(bytes)
	return bytes
}

func sample(ms int64, key, value []byte, headers ...kgo.RecordHeader) *kgo.Record {
	return &kgo.Record{Timestamp: time.UnixMilli(t0 + ms), Key: key, Value: value, Headers: headers}
}

func samples(largeBytes int) []*kgo.Record {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	return []*kgo.Record{
		sample(0, []byte("key"), []byte("value")),
		sample(5, nil, nil),
		sample(-100_000, []byte{}, []byte{}),
		sample(86_400_000, []byte("headers"), []byte("x"),
			kgo.RecordHeader{Key: "h", Value: []byte("1")}, kgo.RecordHeader{Key: "h", Value: []byte("2")},
			kgo.RecordHeader{Key: "null", Value: nil}, kgo.RecordHeader{Key: "empty", Value: []byte{}},
			kgo.RecordHeader{Key: "", Value: []byte("nameless")}, kgo.RecordHeader{Key: "binary", Value: every},
			kgo.RecordHeader{Key: "h", Value: []byte("1")}),
		sample(1, []byte("large"), pattern(largeBytes)),
		sample(2, noise(40), noise(1000)),
		sample(3, []byte("tombstone"), nil, kgo.RecordHeader{Key: "why", Value: []byte("gone")}),
	}
}

func main() {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.DefaultProduceTopic("franz-"+name),
			kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(500*time.Millisecond))
		if err != nil {
			panic(err)
		}
		large := 70_000
		if name == "none" {
			large = 2_000
		}
		for _, records := range [][]*kgo.Record{samples(large), samples(300)[:4]} {
			if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				panic(err)
			}
		}
		client.Close()
	}
}

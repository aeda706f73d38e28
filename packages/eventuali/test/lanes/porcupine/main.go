// A second opinion on histories of streams: reads one history a line, asks Porcupine whether it is
// linearizable, and answers one line each. Knows the model of a stream and nothing of our checker.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 60 * time.Second

type call struct {
	Kind     string          `json:"kind"`
	Marks    []int           `json:"marks"`
	Expected json.RawMessage `json:"expected"`
	Given    bool            `json:"given"`
	Last     json.RawMessage `json:"last"`
}

type outcome struct {
	Is        string `json:"is"`
	Version   int    `json:"version"`
	Duplicate bool   `json:"duplicate"`
	Marks     []int  `json:"marks"`
}

type operation struct {
	Stream   string  `json:"stream"`
	Called   int64   `json:"called"`
	Returned *int64  `json:"returned"`
	Call     call    `json:"call"`
	Outcome  outcome `json:"outcome"`
}

type history struct {
	Name       string           `json:"name"`
	Operations []operation      `json:"operations"`
	Final      map[string][]int `json:"final"`
}

type answer struct {
	Name   string `json:"name"`
	Result string `json:"result"`
}

// expects tells whether a stream of this length is what the caller expects.
func (c call) expects(length int) bool {
	switch string(c.Expected) {
	case `"any"`:
		return true
	case `"exists"`:
		return length > 0
	}
	var version int
	return json.Unmarshal(c.Expected, &version) == nil && version == length
}

// shown is what a read of this call shows of a stream.
func (c call) shown(state []int) []int {
	var last int
	if json.Unmarshal(c.Last, &last) != nil || last > len(state) {
		return state
	}
	return state[len(state)-last:]
}

func step(state, input, output any) (bool, any) {
	now, in, out := state.([]int), input.(call), output.(outcome)
	unknown := out.Is == "unknown"
	if in.Kind == "read" {
		same := out.Is == "seen" && out.Version == len(now) && slices.Equal(in.shown(now), out.Marks)
		return unknown || same, now
	}
	if in.Given {
		if at := slices.Index(now, in.Marks[0]); at >= 0 {
			found := out.Is == "stored" && out.Duplicate && out.Version == at+len(in.Marks)
			return unknown || found, now
		}
	}
	if !in.expects(len(now)) {
		return unknown || (out.Is == "conflict" && out.Version == len(now)), now
	}
	next := append(slices.Clone(now), in.Marks...)
	stored := out.Is == "stored" && !out.Duplicate && out.Version == len(next)
	return unknown || stored, next
}

var model = porcupine.Model{
	Init:  func() any { return []int{} },
	Step:  step,
	Equal: func(a, b any) bool { return slices.Equal(a.([]int), b.([]int)) },
	Hash: func(state any) uint64 {
		hash := uint64(14695981039346656037)
		for _, mark := range state.([]int) {
			hash = (hash ^ uint64(mark)) * 1099511628211
		}
		return hash
	},
}

// partitions gives each stream its operations, with a read of its final content at the end.
func partitions(h history) [][]porcupine.Operation {
	end := int64(0)
	for _, o := range h.Operations {
		end = max(end, o.Called)
		if o.Returned != nil {
			end = max(end, *o.Returned)
		}
	}
	streams := map[string][]porcupine.Operation{}
	for stream, marks := range h.Final {
		streams[stream] = append(streams[stream], porcupine.Operation{
			Input:  call{Kind: "read", Last: json.RawMessage(`"all"`)},
			Output: outcome{Is: "seen", Version: len(marks), Marks: marks},
			Call:   end + 1,
			Return: end + 2,
		})
	}
	for _, o := range h.Operations {
		// What was refused took no effect; what is not known may take effect at any time.
		if o.Outcome.Is == "refused" {
			continue
		}
		returned := int64(math.MaxInt64)
		if o.Returned != nil && o.Outcome.Is != "unknown" {
			returned = *o.Returned
		}
		streams[o.Stream] = append(streams[o.Stream], porcupine.Operation{
			Input: o.Call, Output: o.Outcome, Call: o.Called, Return: returned,
		})
	}
	parts := [][]porcupine.Operation{}
	for _, part := range streams {
		parts = append(parts, part)
	}
	return parts
}

func judge(h history) string {
	for _, part := range partitions(h) {
		if result := porcupine.CheckOperationsTimeout(model, part, patience); result != porcupine.Ok {
			return string(result)
		}
	}
	return string(porcupine.Ok)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<28)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var h history
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
			fmt.Fprintln(os.Stderr, "not a history:", err)
			os.Exit(2)
		}
		if err := answers.Encode(answer{h.Name, judge(h)}); err != nil {
			os.Exit(2)
		}
	}
	if lines.Err() != nil {
		fmt.Fprintln(os.Stderr, lines.Err())
		os.Exit(2)
	}
}

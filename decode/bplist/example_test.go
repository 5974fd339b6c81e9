package bplist_test

import (
	"fmt"

	"tundump/decode/bplist"
)

func Example() {
	var w bplist.Writer
	payload, err := w.Append(nil, w.Dict(
		w.String("command"), w.Int(8),
		w.String("identifier"), w.Int(4711),
		w.String("packets"), w.DataArray([][]byte{{0x45, 0}, {0x60, 0}}),
		w.String("protocols"), w.IntArray([]int64{2, 30}),
	))
	if err != nil {
		fmt.Println(err)
		return
	}

	doc, err := bplist.Parse(payload, bplist.Limits{})
	if err != nil {
		fmt.Println(err) // a *bplist.Error: which rule, which bytes
		return
	}
	root := doc.Root()
	for i := range root.Len() {
		key, val := root.Pair(i)
		if key.EqualText("packets") {
			for j := range val.Len() {
				packet, _ := val.At(j).Data() // aliases payload
				fmt.Printf("%x at %v\n", packet, val.At(j).Body())
			}
		}
	}
	// Output:
	// 4500 at {63 2}
	// 6000 at {66 2}
}

func ExampleEdit() {
	var w bplist.Writer
	payload, _ := w.Append(nil, w.Dict(w.String("command"), w.Int(2), w.String("protocols"), w.IntArray([]int64{2})))
	doc, _ := bplist.Parse(payload, bplist.Limits{})

	edited, err := bplist.Edit(nil, &doc, bplist.Change{
		Value:  doc.Root().Get("command"),
		Object: bplist.AppendInt(nil, 3),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, _ = bplist.Parse(edited, bplist.Limits{})
	root := doc.Root()
	fmt.Printf("command %s, protocol %s\n", root.Get("command").AppendText(nil), root.Get("protocols").At(0).AppendText(nil))
	// Output: command 3, protocol 2
}

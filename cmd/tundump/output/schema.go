package output

import (
	"encoding/json"

	"tundump/decode/field"
)

// kinds are the values of type in a row, and what such a row always has.
var kinds = []struct {
	name, doc string
	required  []string
}{
	{"message", "a message, or a record that could not be decoded", []string{"type", "frame.time_epoch", "tunnel.stream", "tunnel.msg", "tunnel.dir", "tunnel.len", "tunnel.offset"}},
	{"packet", "an IP packet inside a message, or of a capture without tunnels", []string{"type", "frame.time_epoch", "frame.number", "frame.len"}},
	{"tunnel", "what a tunnel did, or bytes of it that are no message", []string{"type", "frame.time_epoch", "tunnel.stream", "tunnel.event"}},
	{"finding", "something wrong with the message or packet in the row before, or worth knowing", []string{"type", "frame.time_epoch", "finding.severity", "finding.code", "finding.text"}},
}

// schemaNode is a part of a JSON schema, with its keys in the order in which
// they are read best.
type schemaNode struct {
	Schema      string                 `json:"$schema,omitempty"`
	Ref         string                 `json:"$ref,omitempty"`
	Comment     string                 `json:"$comment,omitempty"`
	Title       string                 `json:"title,omitempty"`
	Description string                 `json:"description,omitempty"`
	Const       string                 `json:"const,omitempty"`
	Type        string                 `json:"type,omitempty"`
	Minimum     *int                   `json:"minimum,omitempty"`
	Pattern     string                 `json:"pattern,omitempty"`
	Items       *schemaNode            `json:"items,omitempty"`
	OneOf       []schemaNode           `json:"oneOf,omitempty"`
	Required    []string               `json:"required,omitempty"`
	Properties  map[string]*schemaNode `json:"properties,omitempty"`
	Additional  *bool                  `json:"additionalProperties,omitempty"`
	Defs        map[string]*schemaNode `json:"$defs,omitempty"`
}

// Schema returns the JSON schema, draft 2020-12, of one row of -T json. It is
// made of the table of fields.
func Schema() ([]byte, error) {
	root := schemaNode{
		Schema:      "https://json-schema.org/draft/2020-12/schema",
		Title:       "a row of tundump -T json",
		Description: "One JSON object a line. Only fields that apply to a row are in it; a field with several values is an array. Names and meanings are tshark's wherever tshark has them.",
		Defs:        map[string]*schemaNode{},
	}
	all := field.All()
	for i := range all {
		if f := &all[i]; !f.Combines {
			root.Defs[f.Name] = fieldSchema(f)
		}
	}
	no := false
	for _, k := range kinds {
		n := &schemaNode{Description: k.doc, Type: "object", Required: k.required, Additional: &no, Properties: map[string]*schemaNode{"type": {Const: k.name}}}
		for i := range all {
			f := &all[i]
			switch {
			case f.Combines:
			case printed(k.name, f):
				n.Properties[f.Name] = &schemaNode{Ref: "#/$defs/" + f.Name}
			default:
				n.Properties[f.Name] = &schemaNode{Ref: "#/$defs/" + f.Name, Comment: "only if it is asked for with -e or -x"}
			}
		}
		root.Defs[k.name+"-row"] = n
		root.OneOf = append(root.OneOf, schemaNode{Ref: "#/$defs/" + k.name + "-row"})
	}
	statisticsSchema(&root)
	b, err := json.MarshalIndent(&root, "", "  ")
	return append(b, '\n'), err
}

// fieldSchema describes a field: one value, or an array of several.
func fieldSchema(f *field.Field) *schemaNode {
	one := typeSchema(f.Type)
	many := schemaNode{Type: "array", Items: &one}
	if isList(f.Name) {
		many.Description = f.Doc
		return &many
	}
	if f.Type == field.Object { // any JSON, an array of several among it
		return &schemaNode{Description: f.Doc}
	}
	return &schemaNode{Description: f.Doc, OneOf: []schemaNode{one, many}}
}

func typeSchema(t field.Type) schemaNode {
	zero := 0
	switch t {
	case field.Uint:
		return schemaNode{Type: "integer", Minimum: &zero}
	case field.Int:
		return schemaNode{Type: "integer"}
	case field.Time:
		return schemaNode{Type: "number"}
	case field.Bool:
		return schemaNode{Type: "boolean"}
	case field.Bytes:
		return schemaNode{Type: "string", Pattern: "^([0-9a-f]{2})*$"}
	case field.Object:
		return schemaNode{}
	}
	return schemaNode{Type: "string"}
}

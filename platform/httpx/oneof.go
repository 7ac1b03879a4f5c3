package httpx

import "github.com/danielgtaylor/huma/v2"

// OneOf describes a text that is one of a list, so that a type with such a list can give its own
// schema and no tag repeats what the code says.
func OneOf[T ~string](all []T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, one := range all {
		s.Enum = append(s.Enum, string(one))
	}
	return s
}

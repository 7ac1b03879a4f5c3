package monitoring

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"smartseller/platform/httpx"
)

type aliveOutput struct {
	Body struct {
		Status string `json:"status" enum:"alive"`
	}
}

type readyOutput struct {
	Body struct {
		Status string   `json:"status" enum:"ready"`
		Checks []string `json:"checks" doc:"What was checked, and holds"`
	}
}

// Routes adds what is asked of an instance by machines, without a token: nothing
// in the answers names a storefront or a person.
func Routes(server *httpx.Server, s *Service) {
	server.Observe(s.Observe)
	httpx.Register(server, huma.Operation{
		OperationID: "alive", Method: http.MethodGet, Path: "/healthz", Summary: "Is the process alive?",
		Description: "Asks no database: restart an instance only when this fails.",
	}, func(context.Context, *struct{}) (*aliveOutput, error) {
		out := &aliveOutput{}
		out.Body.Status = "alive"
		return out, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "ready", Method: http.MethodGet, Path: "/readyz", Summary: "Does this instance welcome requests?",
		Description: "503 while the program stops, while the control database does not answer, or while its schema is behind; errors names each check that does not hold.",
	}, func(ctx context.Context, _ *struct{}) (*readyOutput, error) {
		checks := s.Ready(ctx)
		if err := notReady(checks); err != nil {
			return nil, err
		}
		out := &readyOutput{}
		out.Body.Status = "ready"
		for _, c := range checks {
			out.Body.Checks = append(out.Body.Checks, c.Name)
		}
		return out, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Summary: "This instance in numbers, for Prometheus",
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			e := humaecho.UnwrapV4(c)
			s.metrics.ServeHTTP(e.Response(), e.Request())
		}}, nil
	})
}

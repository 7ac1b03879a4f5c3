package monitoring

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"smartseller/backends"
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

type subjectBody struct {
	Subject  string             `json:"subject" doc:"control database, or backend and its name"`
	Findings []backends.Finding `json:"findings"`
}

type doctorOutput struct {
	Body struct {
		Well     bool          `json:"well" doc:"No finding is a problem, not even a warning"`
		Subjects []subjectBody `json:"subjects"`
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
		OperationID: "doctor", Method: http.MethodGet, Path: "/api/admin/doctor", Summary: "Examine the control database and every backend", Security: httpx.Admin,
	}, func(ctx context.Context, _ *struct{}) (*doctorOutput, error) {
		out := &doctorOutput{}
		out.Body.Well = true
		for _, e := range s.Examine(ctx) {
			out.Body.Well = out.Body.Well && e.Well()
			out.Body.Subjects = append(out.Body.Subjects, subjectBody(e))
		}
		return out, ctx.Err()
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

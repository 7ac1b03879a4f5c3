// Package httpx is the HTTP edge: echo routes, huma binds and describes, and every
// error is a problem document. Only this package and the modules' http.go files
// know either library.
package httpx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"smartseller/platform/fault"
)

// AdminScheme names the security scheme of admin operations in the OpenAPI document.
const AdminScheme = "admin"

// SellerScheme names the security scheme of the operations of a storefront's seller.
const SellerScheme = "seller"

// CustomerScheme names the security scheme of customers' operations.
const CustomerScheme = "customer"

// Admin marks an operation as an admin's, AdminReads as one that any admin may use
// though its method says that it changes something, Seller as that of a storefront's
// seller, Customer as a logged-in customer's.
var (
	Admin      = []map[string][]string{{AdminScheme: {}}}
	AdminReads = []map[string][]string{{AdminScheme: {reading}}}
	Seller     = []map[string][]string{{SellerScheme: {}}}
	Customer   = []map[string][]string{{CustomerScheme: {}}}
)

// What an admin's operation needs, as the OpenAPI document says it.
const (
	reading  = "read"
	changing = "change"
)

// Options are what a server is made of.
type Options struct {
	Version string
	Log     *slog.Logger
	// BodyWithin is how long a request's body may take to come, over a slow line, too; 0: 15 s.
	BodyWithin time.Duration
	// BodyLimit bounds a request's body where an operation says nothing else, in
	// bytes; 0: 64 KiB.
	BodyLimit int64
	// AdmitAgain is how often the token of an event stream is looked at again; 0: every 15 s.
	AdmitAgain time.Duration
	// Proxies are the networks of proxies whose X-Forwarded-For is believed; none: every
	// client is who it connects as.
	Proxies []netip.Prefix
}

// Server is the edge. Register operations before Serve.
type Server struct {
	echo     *echo.Echo
	api      huma.API
	log      *slog.Logger
	limit    int64
	within   time.Duration // a body must have come
	readmit  time.Duration // between two looks at a stream's token
	draining atomic.Bool
	stopping chan struct{} // closed when streams must end
	auth     map[string]Authenticator
	observe  Observer
	idOf     IDOf    // nil: headers are compared with slugs alone
	auditor  Auditor // nil: nothing is written down
}

// Observer is told of every request that was answered: its method, the route's
// template ("" when none matched) and what it took until the answer was written.
type Observer func(method, route string, status int, took time.Duration)

// Credentials are what a request to an operation that asks for a token comes with.
type Credentials struct {
	Token   string // the bearer token
	Slug    string // the storefront in the path, or ""
	Changes bool   // whether the operation changes something
}

// Authenticator checks credentials and returns the context with who it is, or a
// *fault.Error: Unauthorized, or Forbidden for somebody known who may not.
type Authenticator func(ctx context.Context, c Credentials) (context.Context, error)

// New makes a server with /openapi.json and /docs.
func New(o Options) *Server {
	s := &Server{echo: echo.New(), log: o.Log, limit: o.BodyLimit, within: cmp.Or(o.BodyWithin, 15*time.Second), readmit: cmp.Or(o.AdmitAgain, 15*time.Second), stopping: make(chan struct{}), auth: map[string]Authenticator{}, observe: func(string, string, int, time.Duration) {}}
	if s.limit == 0 {
		s.limit = 64 << 10
	}
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.HTTPErrorHandler = s.handleError
	s.echo.IPExtractor = clientBehind(o.Proxies)
	s.echo.OnAddRouteHandler = s.alsoHead
	s.echo.Use(s.around)
	ownErrors()
	config := huma.DefaultConfig("SmartSeller", o.Version)
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.Formats = onlyJSON()
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		AdminScheme:    {Type: "http", Scheme: "bearer", Description: "A token of an admin, as in data/admin.token"},
		SellerScheme:   {Type: "http", Scheme: "bearer", Description: "A seller's token, from the admins' login"},
		CustomerScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A customer's access token, from register, login or refresh"},
	}
	s.api = humaecho.NewV4(s.echo, config)
	s.api.UseMiddleware(s.authenticate, s.refuseLarge)
	s.echo.GET("/docs", docs)
	return s
}

// clientBehind finds the client's address: of those that X-Forwarded-For names, from the
// back, the first that is none of the proxies. echo would believe private networks, too.
func clientBehind(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// alsoHead answers HEAD wherever GET is answered, by the same handler: net/http sends
// the headers alone. The description needs no second operation for that.
func (s *Server) alsoHead(_ string, route echo.Route, handle echo.HandlerFunc, around []echo.MiddlewareFunc) {
	if route.Method == http.MethodGet {
		s.echo.HEAD(route.Path, handle, around...)
	}
}

// Authenticate says how tokens of a security scheme are checked.
func (s *Server) Authenticate(scheme string, check Authenticator) { s.auth[scheme] = check }

// Observe says who is told of every request. Call it before Serve.
func (s *Server) Observe(o Observer) { s.observe = o }

// Handler is the whole edge as an http.Handler.
func (s *Server) Handler() http.Handler { return s.echo }

// Ready says whether new requests are welcome; it turns false as soon as the
// server is told to stop.
func (s *Server) Ready() bool { return !s.draining.Load() }

// Serve answers until ctx ends. Then it is not ready any more and its event streams
// end; for as long as notice it still answers, so that balancers learn of it and
// clients part with their connections; at last requests in flight may finish, at
// most for grace.
func (s *Server) Serve(ctx context.Context, l net.Listener, notice, grace time.Duration) error {
	door, inside := newDoor(l), newVisitors()
	server := &http.Server{
		Handler: s.echo, ConnState: inside.note, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(door) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	close(s.stopping)
	select {
	case err := <-failed:
		return err
	case <-time.After(notice):
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := shut(door); err != nil {
		return errors.Join(err, server.Close())
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		return errors.Join(err, server.Close())
	}
	if err := inside.leave(stopping); err != nil {
		return errors.Join(fmt.Errorf("requests were still under way after %s: %w", grace, err), server.Close())
	}
	return server.Close()
}

// answerWithin bounds how long a client may take to receive an answer, and each part
// of a stream: one that does not read would keep a goroutine for ever.
const answerWithin = time.Minute

// writeUntil bounds what is written next; the zero time: not at all. What serves tests
// without a connection knows no deadlines.
func writeUntil(r *echo.Response, deadline time.Time) {
	_ = http.NewResponseController(r).SetWriteDeadline(deadline)
}

// clientLeft is the status of an answer that nobody waited for, as nginx counts it.
const clientLeft = 499

// left says that whoever asked is not there any more.
func left(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// around gives a request its id and its security headers, and turns a panic into
// a problem.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		id := newRequestID()
		ctx := context.WithValue(context.WithValue(c.Request().Context(), requestKey{}, id), logKey{}, s.log)
		ctx = context.WithValue(ctx, peerKey{}, c.RealIP())
		c.SetRequest(c.Request().WithContext(ctx))
		h := c.Response().Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Authorization, Origin, X-Storefront")
		h.Set("Strict-Transport-Security", "max-age=31536000") // heeded over TLS alone: at a proxy
		if !s.Ready() {
			h.Set("Connection", "close")
		}
		writeUntil(c.Response(), time.Time{}) // that of the request before, on the same connection
		c.Response().Before(func() {
			writeUntil(c.Response(), time.Now().Add(answerWithin))
			s.leaveUnread(c)
		})
		began := time.Now()
		defer func() {
			if r := recover(); r != nil {
				s.log.ErrorContext(ctx, "a handler panicked", "request", id, "panic", r, "stack", string(debug.Stack()))
				err = fault.New(fault.Internal, "internal", "Something went wrong on our side; the request id finds it in the log.")
			}
			if err != nil {
				s.handleError(err, c)
				err = nil
			}
			status := c.Response().Status
			if status >= http.StatusInternalServerError && left(ctx) {
				status = clientLeft
			}
			s.observe(c.Request().Method, c.Path(), status, time.Since(began))
		}()
		if path := c.Request().URL.Path; strings.ContainsRune(path, 0) || !utf8.ValidString(path) {
			return echo.ErrNotFound // no database can hold anything of that name
		}
		if err := s.oneStorefront(c); err != nil {
			return err
		}
		nameKind(c.Request().Header)
		return next(c)
	}
}

func (s *Server) refuse(c huma.Context, p *Problem) {
	for name, values := range p.header {
		for _, v := range values {
			c.SetHeader(name, v)
		}
	}
	c.SetHeader("Content-Type", p.ContentType(""))
	c.SetStatus(p.Status)
	if err := s.api.Marshal(c.BodyWriter(), "application/json", p); err != nil {
		s.log.WarnContext(c.Context(), "a problem could not be sent", "error", err)
	}
}

func isAdmins(op *huma.Operation) bool {
	return slices.ContainsFunc(op.Security, func(requirement map[string][]string) bool {
		_, admin := requirement[AdminScheme]
		_, seller := requirement[SellerScheme]
		return admin || seller
	})
}

// Register adds an operation. Its errors become problem documents, and those that
// every operation has are added to its description.
func Register[I, O any](s *Server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = s.limit
	}
	if op.BodyReadTimeout == 0 {
		op.BodyReadTimeout = s.within
	}
	usual := []int{http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if len(op.Security) > 0 {
		usual = append(usual, http.StatusUnauthorized, http.StatusForbidden)
	}
	if op.Method == http.MethodPost || op.Method == http.MethodPut || op.Method == http.MethodPatch {
		usual = append(usual, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if strings.Contains(op.Path, "{") {
		usual = append(usual, http.StatusNotFound)
	}
	op.Errors = append(op.Errors, ofStorefront(op.Path, usual)...)
	if _, ok := any(new(I)).(interface{ holds(tag string) bool }); ok {
		op.Responses = map[string]*huma.Response{"304": {Description: "Not modified: the version at hand is the current one"}}
	}
	slices.Sort(op.Errors)
	op.Errors = slices.Compact(op.Errors)
	op.Security = needs(&op)
	if changes(&op) && isAdmins(&op) {
		handle = audited(s, op.OperationID, handle)
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, s.log, err)
		}
		if same, ok := revalidated(in, out); ok {
			return nil, same
		}
		return out, nil
	})
}

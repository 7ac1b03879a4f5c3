package auth

import "smartseller/platform/httpx"

// Routes lets admins in.
func Routes(server *httpx.Server, s *Service) {
	server.Authenticate(httpx.AdminScheme, s.Authenticate)
}

package api

import (
	"net/http"
	"strings"
)

// access is the credential a route takes.
type access uint8

// The zero value is none of these, so that a row that forgets it is closed.
const (
	_       access = iota
	open           // no credential
	keyed          // an API key of one application
	session        // an access token of contract §6
	admin          // the admin token, or an API key
)

// boundary is how far a credential must reach.
type boundary uint8

const (
	_            boundary = iota
	own                   // the application the key belongs to
	named                 // the application in the path
	listing               // what the key may see is filtered by the handler
	installation          // all applications
)

// route is one row of the route table.
type route struct {
	method, path string
	access       access
	permission   Permission
	boundary     boundary
	action       action
}

// crossOrigin reports whether browsers of other origins may call the route:
// where a publishable key or an access token can.
func (rt *route) crossOrigin() bool {
	return rt.access == session || rt.access == keyed && rt.permission.publishable()
}

const (
	reset     = "/api/v1/password-reset"
	auth      = "/api/v1/auth"
	apps      = "/admin/v1/applications"
	oneApp    = apps + "/:slug"
	post, get = http.MethodPost, http.MethodGet
)

// table is the API. Every route stands here and nowhere else.
func table() []route {
	return []route{
		{post, reset + "/request-password-reset", keyed, PermWorkflow, own, with(requestFields, requestReset)},
		{post, reset + "/resend", keyed, PermWorkflow, own, with(resendFields, resend)},
		{post, reset + "/create-password-reset-link", keyed, PermLinkCreate, own, with(linkFields, createLink)},
		{post, reset + "/introspect", keyed, PermWorkflow, own, with(proofFields, introspect)},
		{post, reset + "/reset-password", keyed, PermWorkflow, own, with(resetFields, resetPassword)},
		{post, reset + "/create-auth-session", keyed, PermWorkflow, own, with(authSessionFields, createAuthSession)},
		{get, reset + "/password-policy", keyed, PermWorkflow, own, without(passwordPolicy)},
		{post, reset + "/check-password", keyed, PermWorkflow, own, with(checkFields, checkPassword)},

		{post, auth + "/login", keyed, PermSessions, own, with(loginFields, login)},
		{post, auth + "/refresh", keyed, PermSessions, own, with(refreshFields, refresh)},
		{get, auth + "/session", session, "", own, without(showSession)},
		{post, auth + "/logout", session, "", own, without(logout)},
		{get, "/apps/:slug/.well-known/jwks.json", open, "", named, without(jwks)},

		{post, apps, admin, PermApplicationsWrite, installation, document(createApplication, "application/json")},
		{get, apps, admin, PermApplicationsRead, listing, without(listApplications)},
		{get, oneApp, admin, PermApplicationsRead, named, without(showApplication)},
		{http.MethodPatch, oneApp, admin, PermApplicationsWrite, named, document(patchApplication, "application/json", "application/merge-patch+json")},
		{http.MethodDelete, oneApp, admin, PermApplicationsWrite, named, without(deleteApplication)},

		{post, oneApp + "/users", admin, PermUsersWrite, named, with(userFields, createUser)},
		{get, oneApp + "/users", admin, PermUsersRead, named, without(listUsers)},
		{get, oneApp + "/users/:id", admin, PermUsersRead, named, without(showUser)},
		{http.MethodPatch, oneApp + "/users/:id", admin, PermUsersWrite, named, with(userFields, patchUser)},
		{http.MethodDelete, oneApp + "/users/:id", admin, PermUsersWrite, named, without(deleteUser)},
		{post, oneApp + "/users/:id/revoke-sessions", admin, PermUsersWrite, named, without(revokeSessions)},
		{post, oneApp + "/users/:id/require-reset", admin, PermUsersWrite, named, without(requireReset)},

		{post, oneApp + "/keys", admin, PermKeysWrite, named, with(keyFields, createKey)},
		{get, oneApp + "/keys", admin, PermKeysWrite, named, without(listKeys)},
		{http.MethodDelete, oneApp + "/keys/:id", admin, PermKeysWrite, named, without(revokeKey)},

		{get, oneApp + "/reset-requests", admin, PermRequestsRead, named, without(listRequests)},
		{get, oneApp + "/reset-requests/:id", admin, PermRequestsRead, named, without(showRequest)},
		{post, oneApp + "/reset-requests/:id/cancel", admin, PermRequestsWrite, named, without(cancelRequest)},

		{get, oneApp + "/messages", admin, PermRequestsRead, named, without(listMessages)},
		{get, oneApp + "/messages/:id", admin, PermRequestsRead, named, without(showMessage)},
		{post, oneApp + "/messages/:id/retry", admin, PermRequestsWrite, named, without(retryMessage)},

		{get, oneApp + "/audit-events", admin, PermAuditRead, named, without(listAuditEvents)},

		{get, "/healthz", open, "", installation, without(healthz)},
		{get, "/readyz", open, "", installation, without(readyz)},
		{get, "/openapi.yaml", open, "", installation, without(openAPI)},
	}
}

// allowed lists the methods of a path, as Allow writes them.
func allowed(path string) string {
	var methods []string
	for _, rt := range table() {
		if rt.path == path {
			methods = append(methods, rt.method)
		}
	}
	return strings.Join(methods, ", ")
}

package api

import "slices"

// Permission is what a credential may do (contract §4).
type Permission string

// The permissions.
const (
	PermWorkflow          Permission = "password-reset-workflow:execute"
	PermLinkCreate        Permission = "password-reset-link:create"
	PermSessions          Permission = "sessions:execute"
	PermUsersRead         Permission = "users:read"
	PermUsersWrite        Permission = "users:write"
	PermRequestsRead      Permission = "reset-requests:read"
	PermRequestsWrite     Permission = "reset-requests:write"
	PermTemplatesRead     Permission = "templates:read"
	PermTemplatesWrite    Permission = "templates:write"
	PermKeysWrite         Permission = "keys:write"
	PermApplicationsRead  Permission = "applications:read"
	PermApplicationsWrite Permission = "applications:write"
	PermAuditRead         Permission = "audit:read"
)

// Permissions lists every permission.
func Permissions() []Permission {
	return []Permission{PermWorkflow, PermLinkCreate, PermSessions, PermUsersRead, PermUsersWrite,
		PermRequestsRead, PermRequestsWrite, PermTemplatesRead, PermTemplatesWrite, PermKeysWrite,
		PermApplicationsRead, PermApplicationsWrite, PermAuditRead}
}

func (p Permission) known() bool { return slices.Contains(Permissions(), p) }

// publishable reports whether a key that everybody can read may hold p.
func (p Permission) publishable() bool { return p == PermWorkflow || p == PermSessions }

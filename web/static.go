package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed assets
var assetFiles embed.FS

// assets are the style sheets and the scripts under names that hold a hash of
// their content, so that browsers may keep them for good.
type assets struct {
	paths map[string]string // "page.css" → "/static/page-1a2b3c.css"
	files map[string]asset  // by the last element of the path
}

type asset struct {
	kind string
	body []byte
}

func loadAssets() (*assets, error) {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	a := &assets{map[string]string{}, map[string]asset{}}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "-" + hashName(body) + ext
		kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}[ext]
		a.paths[e.Name()], a.files[name] = "/static/"+name, asset{kind, body}
	}
	return a, nil
}

func hashName(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:6])
}

func (s *server) serveStatic(c echo.Context) error {
	f, ok := s.static.files[c.Param("file")]
	if !ok {
		return s.handleAnywhere(func(*visit) error { return errNotFound })(c)
	}
	return lasting(c, f)
}

// lasting sends a file that never changes under its name.
func lasting(c echo.Context, f asset) error {
	if m := c.Request().Method; m != http.MethodGet && m != http.MethodHead {
		c.Response().Header().Set("Allow", "GET, HEAD")
		return c.NoContent(http.StatusMethodNotAllowed)
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	return c.Blob(http.StatusOK, f.kind, f.body)
}

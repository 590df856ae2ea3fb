package templates

import (
	"fmt"
	"math"
	"strconv"
)

// Palette is an application's colour made usable: every pair in it that carries
// text has a contrast of at least 4.5 (WCAG 2.2 §1.4.3), every edge at least 3
// (§1.4.11). Values are "#rrggbb".
type Palette struct {
	Button, ButtonText         string // as the application wants it, with text that can be read on it
	ButtonEdge                 string // outline that can be seen on the light card
	Link                       string // on the light card
	DarkButton, DarkButtonText string
	DarkButtonEdge, DarkLink   string
}

// The grounds that contrast is measured against, and the colour where an
// application has none.
const (
	lightCard    = "#ffffff"
	darkCard     = "#1c1f24"
	defaultColor = "#1f4fd8"
)

// PaletteOf derives the palette of a colour "#rrggbb"; anything else counts as
// no colour of its own.
func PaletteOf(color string) Palette {
	c, ok := parseColor(color)
	if !ok {
		c, _ = parseColor(defaultColor)
	}
	light, _ := parseColor(lightCard)
	dark, _ := parseColor(darkCard)
	text := readable(c)
	return Palette{
		Button: c.String(), ButtonText: text, ButtonEdge: toward(c, light, 3).String(), Link: toward(c, light, 4.5).String(),
		DarkButton: c.String(), DarkButtonText: text, DarkButtonEdge: toward(c, dark, 3).String(), DarkLink: toward(c, dark, 4.5).String(),
	}
}

type rgb [3]float64 // 0 to 1

func parseColor(s string) (rgb, bool) {
	var c rgb
	if len(s) != 7 || s[0] != '#' {
		return c, false
	}
	for i := range c {
		v, err := strconv.ParseUint(s[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return c, false
		}
		c[i] = float64(v) / 255
	}
	return c, true
}

func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", byte(math.Round(c[0]*255)), byte(math.Round(c[1]*255)), byte(math.Round(c[2]*255)))
}

// luminance is WCAG's relative luminance.
func (c rgb) luminance() float64 {
	sum := 0.0
	for i, weight := range [3]float64{0.2126, 0.7152, 0.0722} {
		v := c[i]
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// readable picks white text where it can be read on c, else black; one of them
// always reaches 4.5.
func readable(c rgb) string {
	if contrast(c, rgb{1, 1, 1}) >= 4.5 {
		return "#ffffff"
	}
	return "#000000"
}

// toward moves c away from ground, darker on a light one and lighter on a dark
// one, until their contrast is at least want.
func toward(c, ground rgb, want float64) rgb {
	end := rgb{0, 0, 0}
	if ground.luminance() < 0.18 {
		end = rgb{1, 1, 1}
	}
	for step := 0; step <= 50; step++ {
		t := float64(step) / 50
		var mixed rgb
		for i := range mixed {
			mixed[i] = c[i] + (end[i]-c[i])*t
		}
		if rounded, _ := parseColor(mixed.String()); contrast(rounded, ground) >= want {
			return rounded
		}
	}
	return end
}

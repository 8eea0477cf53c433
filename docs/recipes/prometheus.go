// Package recipes is the code of docs/operations.md that needs modules which
// sessionkit itself does not: copy what you use.
package recipes

import (
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gin-sessionkit/sessionkit"
)

// Prometheus returns an OnEvent that counts events by their kind. Users and
// handles are no labels: there is no end of them.
func Prometheus(registry prometheus.Registerer) (func(*gin.Context, sessionkit.Event), error) {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sessionkit_events_total",
		Help: "What happened to sessions, by kind.",
	}, []string{"kind"})
	if err := registry.Register(events); err != nil {
		return nil, err
	}
	return func(_ *gin.Context, e sessionkit.Event) {
		events.WithLabelValues(string(e.Kind)).Inc()
	}, nil
}

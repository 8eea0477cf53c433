// Package recipes is the code of docs/operations.md that needs modules which
// sessionkit itself does not: copy what you use.
package recipes

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
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

// PrometheusSessions adds a gauge of the live sessions of s. They are counted when the
// registry is read. If that fails, the gauge is missing for once.
func PrometheusSessions(registry prometheus.Registerer, s *store.Store) error {
	return registry.Register(liveSessions{s})
}

type liveSessions struct{ store *store.Store }

var liveDesc = prometheus.NewDesc("sessionkit_live_sessions", "Live sessions, by whether somebody is signed in.", []string{"of"}, nil)

func (liveSessions) Describe(descs chan<- *prometheus.Desc) { descs <- liveDesc }

func (l liveSessions) Collect(metrics chan<- prometheus.Metric) {
	const timeout = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	counts, err := l.store.Count(ctx)
	if err != nil {
		return
	}
	metrics <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(counts.SignedIn), "users")
	metrics <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(counts.Live-counts.SignedIn), "visitors")
}

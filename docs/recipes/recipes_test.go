package recipes_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/recipes"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// signIn signs a user in, in a request with the given middleware around it.
func signIn(onEvent func(*gin.Context, sessionkit.Event), around ...gin.HandlerFunc) {
	gin.SetMode(gin.TestMode)
	r := gin.New()
	r.Use(around...)
	r.Use(sessionkit.Sessions(memstore.New(), sessionkit.Config{OnEvent: onEvent}))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://example.com/login", nil))
}

func TestPrometheus(t *testing.T) {
	registry := prometheus.NewRegistry()
	onEvent, err := recipes.Prometheus(registry)
	require.NoError(t, err)
	signIn(onEvent)
	assert.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
		# HELP sessionkit_events_total What happened to sessions, by kind.
		# TYPE sessionkit_events_total counter
		sessionkit_events_total{kind="created"} 1
		sessionkit_events_total{kind="signed-in"} 1
	`)))
	_, err = recipes.Prometheus(registry)
	assert.Error(t, err, "one counter a registry")
}

func TestPrometheusSessions(t *testing.T) {
	gin.SetMode(gin.TestMode)
	s := memstore.New()
	r := gin.New()
	r.Use(sessionkit.Sessions(s))
	r.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	r.POST("/visit", func(c *gin.Context) { sessionkit.NewKey[int]("visits").Set(c, 1) })
	for _, path := range []string{"/login", "/visit", "/visit"} {
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://example.com"+path, nil))
	}
	registry := prometheus.NewRegistry()
	require.NoError(t, recipes.PrometheusSessions(registry, s))
	assert.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
		# HELP sessionkit_live_sessions Live sessions, by whether somebody is signed in.
		# TYPE sessionkit_live_sessions gauge
		sessionkit_live_sessions{of="users"} 1
		sessionkit_live_sessions{of="visitors"} 2
	`)))

	broken := sessionkittest.NewStore()
	broken.FailReads(errors.New("out of order"))
	registry = prometheus.NewRegistry()
	require.NoError(t, recipes.PrometheusSessions(registry, broken.Store))
	n, err := testutil.GatherAndCount(registry)
	require.NoError(t, err, "the other metrics are read all the same")
	assert.Zero(t, n)
}

func TestOpenTelemetry(t *testing.T) {
	reader, spans := metric.NewManualReader(), tracetest.NewSpanRecorder()
	tracer := trace.NewTracerProvider(trace.WithSpanProcessor(spans)).Tracer("test")
	onEvent, err := recipes.OpenTelemetry(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"))
	require.NoError(t, err)
	signIn(onEvent, func(c *gin.Context) {
		ctx, span := tracer.Start(c.Request.Context(), "request")
		defer span.End()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	})
	var metrics metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &metrics))
	points := metrics.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
	assert.Len(t, points, 2, "created and signed-in")
	ended := spans.Ended()
	require.Len(t, ended, 1)
	assert.Len(t, ended[0].Events(), 2)
}

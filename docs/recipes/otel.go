package recipes

import (
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/gin-sessionkit/sessionkit"
)

// OpenTelemetry returns an OnEvent that counts events by their kind, and adds each
// to the span of its request.
func OpenTelemetry(meter metric.Meter) (func(*gin.Context, sessionkit.Event), error) {
	events, err := meter.Int64Counter("sessionkit.events", metric.WithDescription("What happened to sessions, by kind."))
	if err != nil {
		return nil, err
	}
	return func(c *gin.Context, e sessionkit.Event) {
		ctx := c.Request.Context()
		kind := attribute.String("sessionkit.kind", string(e.Kind))
		events.Add(ctx, 1, metric.WithAttributes(kind))

		span := trace.SpanFromContext(ctx)
		span.AddEvent("session", trace.WithAttributes(kind, attribute.String("sessionkit.session", e.SessionID)))
		if e.Err != nil {
			span.RecordError(e.Err)
			if e.Kind == sessionkit.EventStoreError {
				span.SetStatus(codes.Error, "the session store failed")
			}
		}
	}, nil
}

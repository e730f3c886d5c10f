using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Skep.Agent.Metrics;
using Skep.Resources;
using Skep.Resources.Reading;

namespace Skep.Agent.Api;

/// <summary>The HTTP API. What changes something is taken over the Unix socket only, whose file says who may.</summary>
internal static class ApiEndpoints
{
    private const int SmallBody = 16 * 1024;

    public static void MapSkep(this IEndpointRouteBuilder app)
    {
        app.MapGet("/healthz", () => TypedResults.Text("ok\n"));
        app.MapGet("/readyz", (Platform platform) => platform.IsReady ? TypedResults.Text("ok\n") : TypedResults.Text("not ready\n", statusCode: StatusCodes.Status503ServiceUnavailable));
        app.MapGet("/metrics", Metrics);

        var api = app.MapGroup("/api/v1");
        api.MapGet("/status", (Platform platform) => TypedResults.Ok(platform.Status()));
        api.MapGet("/flows", Flows);
        api.MapGet("/drops", (Platform platform) => TypedResults.Ok(platform.Drops()));
        api.MapGet("/services", (Platform platform) => TypedResults.Ok(platform.Services()));
        api.MapGet("/backends", (Platform platform, string? state) => TypedResults.Ok(platform.Backends(state)));
        api.MapGet("/decisions", (Platform platform, long after = 0) => TypedResults.Ok(platform.Decisions(after)));
        api.MapGet("/explain", Explain);
        api.MapGet("/blocks", (Platform platform) => TypedResults.Ok(platform.Blocks()));
        api.MapGet("/resources", (Platform platform) => TypedResults.Ok(platform.ResourcesStatus()));
        api.MapGet("/features", (Platform platform) => TypedResults.Ok(platform.Features()));

        var changes = api.MapGroup("").AddEndpointFilter(OnlyOverTheSocket);
        changes.MapPost("/blocks", Block).WithMetadata(new RequestSizeLimitAttribute(SmallBody));
        changes.MapDelete("/blocks", Unblock);
        changes.MapPost("/trace", TraceAsync);
        changes.MapPost("/resources", Apply).WithMetadata(new RequestSizeLimitAttribute(ResourceLoader.MaxFileBytes));
        changes.MapDelete("/resources", (Platform platform) => platform.DeleteApplied()
            ? Results.NoContent()
            : Problem(StatusCodes.Status404NotFound, "Nothing was applied", "Only what 'skep apply' brought can be deleted; files the agent watches are changed where they are."));
    }

    public static IResult Problem(int status, string title, string detail) => TypedResults.Problem(detail, statusCode: status, title: title);

    private static FileContentHttpResult Metrics(HttpContext context, Platform platform)
    {
        var openMetrics = context.Request.Headers.Accept.ToString().Contains("application/openmetrics-text", StringComparison.Ordinal);
        var writer = new MetricsWriter(openMetrics);
        platform.WriteMetrics(writer);
        return TypedResults.Bytes(writer.Finish().ToArray(), openMetrics ? MetricsWriter.OpenMetricsType : MetricsWriter.PrometheusType);
    }

    private static IResult Flows(HttpContext context, Platform platform)
    {
        var wrong = FlowFilter.TryRead(name => context.Request.Query[name] is [{ Length: > 0 } value, ..] ? value : null, out var filter);
        if (wrong is not null)
        {
            return Problem(StatusCodes.Status400BadRequest, "The filter cannot be read", wrong);
        }

        var view = platform.Flows(filter);
        context.Response.RegisterForDispose(view);
        return TypedResults.Ok(view);
    }

    private static IResult Explain(Platform platform, string? client = null, string? service = null, string protocol = "tcp", string connectionId = "")
    {
        static bool TryRead(string? text, out System.Net.IPEndPoint endpoint) =>
            System.Net.IPEndPoint.TryParse(text ?? "", out endpoint!) && endpoint.Port != 0;

        return !TryRead(client, out var from) ? Problem(StatusCodes.Status400BadRequest, "No client", "client: give address and port, as in ?client=203.0.113.7:40000")
            : !TryRead(service, out var to) ? Problem(StatusCodes.Status400BadRequest, "No service", "service: give address and port, as in &service=192.0.2.10:80")
            : protocol is not ("tcp" or "udp") ? Problem(StatusCodes.Status400BadRequest, "No such protocol", "protocol: tcp or udp")
            : connectionId.Length > 40 || connectionId.Length % 2 != 0 || !connectionId.All(char.IsAsciiHexDigit)
                ? Problem(StatusCodes.Status400BadRequest, "No connection id", "connectionId: up to 20 bytes in hexadecimal, as in &connectionId=000a01c0ffee00")
            : TypedResults.Ok(platform.Explain(from, to, protocol == "udp" ? Packets.IpProtocol.Udp : Packets.IpProtocol.Tcp, Convert.FromHexString(connectionId)));
    }

    private static async Task<IResult> TraceAsync(
        HttpContext context, Platform platform, string? client = null, string? service = null, string protocol = "tcp", int count = 20, string @for = "30s")
    {
        if (!System.Net.IPEndPoint.TryParse(client ?? "", out var from))
        {
            return Problem(StatusCodes.Status400BadRequest, "No client", "client: give an address, with a port or without, as in ?client=203.0.113.7:40000");
        }

        if (!System.Net.IPEndPoint.TryParse(service ?? "", out var to) || to.Port == 0 || to.AddressFamily != from.AddressFamily)
        {
            return Problem(StatusCodes.Status400BadRequest, "No service", "service: give an address of the client's family and a port, as in &service=192.0.2.10:80");
        }

        if (protocol is not ("tcp" or "udp") || count is < 1 or > 100_000 || !Duration.TryParse(@for, out var duration) || duration <= TimeSpan.Zero || duration > TimeSpan.FromHours(1))
        {
            return Problem(StatusCodes.Status400BadRequest, "The trace cannot be bounded", "protocol: tcp or udp; count: 1 to 100000; for: a duration up to 1h, such as 30s");
        }

        if (platform.BeginTrace(from.Address, from.Port, to, protocol == "udp" ? Packets.IpProtocol.Udp : Packets.IpProtocol.Tcp) is { } refusal)
        {
            return Problem(StatusCodes.Status409Conflict, "Not traced", refusal);
        }

        // From here on the sequence ends the trace, whatever becomes of the reader.
        await using var packets = platform.ReadTraceAsync(count, duration, context.RequestAborted).GetAsyncEnumerator(context.RequestAborted);
        var next = packets.MoveNextAsync();
        try
        {
            context.Response.ContentType = "application/x-ndjson";
            await context.Response.StartAsync(context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            while (await next)
            {
                await System.Text.Json.JsonSerializer.SerializeAsync(context.Response.Body, packets.Current, ApiJson.Default.TraceView, context.RequestAborted);
                await context.Response.Body.WriteAsync("\n"u8.ToArray(), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                next = packets.MoveNextAsync();
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody reads any more. What waits for a packet ends by the same token, before the sequence is disposed of.
            await next.AsTask().ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        return Results.Empty;
    }

    private static IResult Block(BlockRequest request, Platform platform)
    {
        if (request.Prefix is null || !Scalars.TryParsePrefix(request.Prefix, out var prefix))
        {
            return Problem(StatusCodes.Status400BadRequest, "No address to block", $"prefix: '{Node.Quote(request.Prefix ?? "")}' is not an address or prefix, such as 192.0.2.1 or 2001:db8::/32");
        }

        TimeSpan? duration = null;
        if (request.For is { } text)
        {
            if (!Duration.TryParse(text, out var parsed))
            {
                return Problem(StatusCodes.Status400BadRequest, "The duration cannot be read", $"for: '{Node.Quote(text)}' is not a duration, such as 10m or 2h");
            }

            duration = parsed;
        }

        if (request.Reason is { } reason && (reason.Length > 200 || reason.Any(char.IsControl)))
        {
            return Problem(StatusCodes.Status400BadRequest, "The reason cannot be taken", "reason: at most 200 characters on one line");
        }

        if (request.Interfaces?.All(Scalars.IsInterfaceName) == false)
        {
            return Problem(StatusCodes.Status400BadRequest, "The interfaces cannot be taken", "interfaces: names of interfaces, as 'ip link' shows them");
        }

        var outcome = platform.Block(prefix, duration, request.Reason ?? "", request.Interfaces ?? [], request.Force);
        return outcome.Refusal is { } refusal
            ? Problem(StatusCodes.Status409Conflict, "Not blocked", refusal)
            : TypedResults.Created((string?)null, outcome.Block);
    }

    private static IResult Unblock(string? prefix, Platform platform)
    {
        if (prefix is null || !Scalars.TryParsePrefix(prefix, out var network))
        {
            return Problem(StatusCodes.Status400BadRequest, "No address to unblock", "Give it as ?prefix=192.0.2.1 or ?prefix=2001:db8::%2F32.");
        }

        return platform.Unblock(network) is { } refusal ? Problem(StatusCodes.Status404NotFound, "Not unblocked", refusal) : TypedResults.NoContent();
    }

    private static async Task<IResult> Apply(HttpContext context, Platform platform, bool dryRun = false, string file = "request")
    {
        if (file.Length > 200)
        {
            return Problem(StatusCodes.Status400BadRequest, "The name is too long", "file: at most 200 characters");
        }

        string text;
        using (var body = new MemoryStream())
        {
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            try
            {
                text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(body.GetBuffer().AsSpan(0, (int)body.Length)).TrimStart('\uFEFF');
            }
            catch (DecoderFallbackException)
            {
                return Problem(StatusCodes.Status400BadRequest, "The body is not UTF-8", "Send the resources as YAML in UTF-8.");
            }
        }

        var outcome = platform.Apply(new ResourceText(Node.Quote(file), text), dryRun);
        if (outcome.Refusal is null)
        {
            return TypedResults.Ok(outcome.View);
        }

        return TypedResults.Problem(
            outcome.Refusal, statusCode: StatusCodes.Status422UnprocessableEntity, title: "Not applied",
            extensions: [new("problems", outcome.View.Problems)]);
    }

    private static async ValueTask<object?> OnlyOverTheSocket(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        return context.HttpContext.Features.Get<OverTheSocket>() is not null
            ? await next(context)
            : Problem(
                StatusCodes.Status403Forbidden, "Changes are taken over the Unix socket only",
                "Anybody on this host can connect to the TCP port; the file of the socket says who may change something. The skep command uses it.");
    }
}

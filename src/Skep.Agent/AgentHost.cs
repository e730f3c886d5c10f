using System.Net;
using System.Net.Sockets;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Skep.Agent.Api;
using Skep.Resources;
using Skep.Resources.Reading;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Skep.Agent;

/// <summary>Puts the process together: API, platform, life cycle.</summary>
internal static class AgentHost
{
    /// <summary>Builds the application around a datapath.</summary>
    /// <exception cref="AgentException">The address to listen on cannot be read.</exception>
    public static WebApplication Build(AgentOptions options, OpenedDatapath opened)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "skep", ContentRootPath = AppContext.BaseDirectory });
        builder.Host.UseSystemd();
        ConfigureLogging(builder.Logging, options);
        builder.Services.AddSingleton(services => new Platform(options, opened, TimeProvider.System, services.GetRequiredService<ILogger<Platform>>()));
        builder.Services.AddHostedService<PlatformService>();
        builder.Services.AddProblemDetails(problems => problems.CustomizeProblemDetails = Explain);
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default);
            json.SerializerOptions.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        });
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
        builder.WebHost.ConfigureKestrel(kestrel => ConfigureKestrel(kestrel, options));

        var app = builder.Build();
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            StatusCodeSelector = e => e is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status500InternalServerError,
            SuppressDiagnosticsCallback = context => context.Exception is BadHttpRequestException,
        });
        app.UseStatusCodePages();
        app.Use(RefuseRebinding);
        app.MapSkep();
        return app;
    }

    /// <summary>The address to serve TCP at; null for none.</summary>
    /// <exception cref="AgentException">It cannot be read.</exception>
    public static IPEndPoint? CheckListen(string? listen) =>
        listen is null ? null
        : IPEndPoint.TryParse(listen, out var endpoint) && endpoint.Port != 0 ? endpoint
        : throw new AgentException($"'{listen}' is not an address to listen on; write it as {AgentOptions.DefaultListen}, or 'off'.");

    /// <summary>Serves until the token is cancelled or the process is told to end.</summary>
    public static async Task RunAsync(WebApplication app, AgentOptions options, CancellationToken cancellation)
    {
        // The lock is ours: a socket that is there belongs to an agent that is gone.
        File.Delete(options.Paths.Socket);
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (Exception e) when (e is SocketException or IOException { InnerException: AddressInUseException })
        {
            // In use, not of this host, or of a port that needs privileges.
            throw new AgentException($"{e.Message.TrimEnd('.')} ({options.Listen ?? "no TCP"}). Choose another address with --listen, or none with --listen off.");
        }

        File.SetUnixFileMode(options.Paths.Socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await app.WaitForShutdownAsync(cancellation);
        File.Delete(options.Paths.Socket);
    }

    // A page in a browser of this host could name the loopback address after itself and read the answers: what it asks for then
    // carries its own name. Listeners that others may reach are asked for by whatever name the network gives them.
    private static Task RefuseRebinding(HttpContext context, RequestDelegate next)
    {
        var asked = context.Request.Host.Host;
        if (context.Connection.LocalIpAddress is not { } local || !IPAddress.IsLoopback(local)
            || asked.Length == 0 || asked.Equals("localhost", StringComparison.OrdinalIgnoreCase) || IPAddress.TryParse(asked, out _))
        {
            return next(context);
        }

        return ApiEndpoints.Problem(
            StatusCodes.Status421MisdirectedRequest, "Asked for by a name that is not this host's",
            "Over the loopback address the agent answers to localhost or an address only.").ExecuteAsync(context);
    }

    private static void Explain(ProblemDetailsContext context)
    {
        context.ProblemDetails.Extensions.Remove("traceId");
        if (context.Exception is BadHttpRequestException bad)
        {
            context.ProblemDetails.Detail ??= Node.Quote(bad.InnerException is System.Text.Json.JsonException json ? json.Message : bad.Message, 300);
        }
    }

    private static void ConfigureLogging(ILoggingBuilder logging, AgentOptions options)
    {
        logging.ClearProviders();
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
        });
        logging.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(o => o.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.SetMinimumLevel(options.Quiet ? LogLevel.Warning : LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        // A line for every connection over the limit would let anybody on this host fill the journal.
        logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel.Connections", LogLevel.Error);
        // It would log the stack of every refused request; the answer says all there is to say.
        logging.AddFilter("Microsoft.AspNetCore.Diagnostics.ExceptionHandlerMiddleware", LogLevel.Error);
    }

    private static void ConfigureKestrel(KestrelServerOptions kestrel, AgentOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = ResourceLoader.MaxFileBytes;
        kestrel.Limits.MaxConcurrentConnections = 256;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        kestrel.ListenUnixSocket(options.Paths.Socket, socket => socket.Use(next => connection =>
        {
            connection.Features.Set(OverTheSocket.Mark);
            return next(connection);
        }));
        if (CheckListen(options.Listen) is { } endpoint)
        {
            kestrel.Listen(endpoint);
        }
    }
}

/// <summary>Marks connections that came over the Unix socket.</summary>
internal sealed class OverTheSocket
{
    public static readonly OverTheSocket Mark = new();
}

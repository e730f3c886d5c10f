using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Skep.Agent;
using Skep.Agent.Api;
using Skep.Cli.Output;

namespace Skep.Cli;

/// <summary>Talks to the agent of an instance: over its Unix socket, or for reading over TCP when the socket belongs to somebody else.</summary>
internal sealed class AgentClient : IDisposable
{
    private readonly HttpClient _http;
    private readonly string _where;

    private AgentClient(HttpClient http, string where) => (_http, _where) = (http, where);

    /// <summary>A client for an instance; <paramref name="address"/> names another agent by host and port.</summary>
    public static AgentClient For(string instance, string? address)
    {
        var socket = AgentPaths.For(instance).Socket;
        if (address is null && File.Exists(socket))
        {
            return OverSocket(socket);
        }

        // The agent of root serves other users over TCP, read-only; it listens there for the main instance only.
        var where = address ?? AgentOptions.DefaultListen;
        if (address is null && instance.Length > 0)
        {
            throw new VerbException($"no agent of instance '{Safe.Text(instance)}' runs here ({socket} does not exist). Start it with 'skep agent --instance {Safe.Text(instance)}'.");
        }

        if (!Uri.TryCreate($"http://{where}/", UriKind.Absolute, out var uri))
        {
            throw new VerbException($"'{Safe.Text(where)}' is not an address; write it as {AgentOptions.DefaultListen}.", ExitCode.Usage);
        }

        return new AgentClient(new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = uri, Timeout = TimeSpan.FromSeconds(30) }, where);
    }

    public Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellation) =>
        SendAsync(new HttpRequestMessage(HttpMethod.Get, path), type, cancellation);

    public async Task<string> GetTextAsync(string path, string accept, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.ParseAdd(accept);
        using var response = await SendAsync(request, cancellation);
        return await response.Content.ReadAsStringAsync(cancellation);
    }

    public Task<TAnswer> PostAsync<TBody, TAnswer>(string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> type, CancellationToken cancellation) =>
        SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body, bodyType) }, type, cancellation);

    public Task<T> PostYamlAsync<T>(string path, byte[] yaml, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        var content = new ByteArrayContent(yaml);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/yaml");
        return SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = content }, type, cancellation);
    }

    /// <summary>Posts, and gives the lines of the answer as they come; <paramref name="started"/> is called when there will be some.</summary>
    public async IAsyncEnumerable<string> PostForLinesAsync(string path, Action started, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        using var response = await SendAsync(request, cancellation, HttpCompletionOption.ResponseHeadersRead);
        started();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            yield return line;
        }
    }

    public async Task DeleteAsync(string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, path);
        (await SendAsync(request, cancellation)).Dispose();
    }

    public void Dispose() => _http.Dispose();

    private static AgentClient OverSocket(string path)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        return new AgentClient(new HttpClient(handler) { BaseAddress = new Uri("http://skep/"), Timeout = TimeSpan.FromSeconds(30) }, path);
    }

    private async Task<T> SendAsync<T>(HttpRequestMessage request, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        using (request)
        using (var response = await SendAsync(request, cancellation))
        {
            try
            {
                return await response.Content.ReadFromJsonAsync(type, cancellation) ?? throw new VerbException($"the agent at {_where} gave an empty answer.");
            }
            catch (JsonException e)
            {
                throw new VerbException($"the answer of {_where} is not that of a Skep agent of this version: {e.Message}");
            }
        }
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, CancellationToken cancellation, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, completion, cancellation);
        }
        catch (HttpRequestException e)
        {
            throw new VerbException(e.InnerException is SocketException { SocketErrorCode: SocketError.AccessDenied }
                ? $"the agent's socket {_where} belongs to another user. Run the command with sudo."
                : $"no agent answers at {_where}. Start it with 'skep up' or 'skep agent'.");
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new VerbException($"the agent at {_where} did not answer in {_http.Timeout.TotalSeconds:0} s.");
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw await RefusalAsync(response, cancellation);
        }
    }

    private async Task<VerbException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        try
        {
            var problem = await response.Content.ReadFromJsonAsync(ClientJson.Default.ProblemDetailsView, cancellation);
            var lines = (problem?.Problems ?? []).Select(p => $"{p.File}:{p.Line}:{p.Column}: {p.Id}{(p.Severity == "warning" ? " (warning)" : "")}: {p.Message}: {p.Advice}\n");
            return new VerbException($"{problem?.Title ?? response.ReasonPhrase}: {problem?.Detail}\n{string.Concat(lines)}".TrimEnd());
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return new VerbException(response.StatusCode == HttpStatusCode.NotFound
                ? $"what listens at {_where} is no Skep agent of this version."
                : $"the agent at {_where} refused: {(int)response.StatusCode} {response.ReasonPhrase}");
        }
    }
}

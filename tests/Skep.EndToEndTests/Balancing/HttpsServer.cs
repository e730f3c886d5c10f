using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Answers every request over TLS with one status and the name of the server, with a certificate of its own making.</summary>
/// <param name="name">What the answers say.</param>
/// <param name="status">Status of the answers.</param>
internal sealed class HttpsServer(string name, int status) : IDisposable
{
    private readonly X509Certificate2 _certificate = Certificate(name);

    /// <summary>Serves what comes to a socket, until that is closed.</summary>
    public async Task ServeAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                _ = AnswerAsync(await listener.AcceptAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    /// <summary>Asks for a page over a connection; gives the whole answer.</summary>
    public static async Task<string> AskAsync(TcpClient client, CancellationToken cancellation)
    {
        // Which server it is does not matter: the answer names it.
#pragma warning disable CA5359
        await using var stream = new SslStream(client.GetStream(), leaveInnerStreamOpen: false, (_, _, _, _) => true);
#pragma warning restore CA5359
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "test" }, cancellation);
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"u8.ToArray(), cancellation);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        return await reader.ReadToEndAsync(cancellation);
    }

    public void Dispose() => _certificate.Dispose();

    private async Task AnswerAsync(Socket connection)
    {
        try
        {
            await using var stream = new SslStream(new NetworkStream(connection, ownsSocket: true));
            await stream.AuthenticateAsServerAsync(_certificate);
            var request = new byte[4096];
            var length = 0;
            while (!request.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
            {
                var read = await stream.ReadAsync(request.AsMemory(length));
                if (read == 0)
                {
                    return;
                }

                length += read;
            }

            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} said\r\nContent-Length: {name.Length}\r\nConnection: close\r\n\r\n{name}"));
            await stream.ShutdownAsync();
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException or ObjectDisposedException)
        {
            // The client is gone, or never spoke TLS.
        }
    }

    private static X509Certificate2 Certificate(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }
}

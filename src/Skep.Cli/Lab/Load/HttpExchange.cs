using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Skep.Cli.Lab.Load;

/// <summary>One request and its answer on a plain blocking socket, so that nothing is retried or pooled behind the lab's back.</summary>
internal static class HttpExchange
{
    internal const int TimeoutMilliseconds = 3000;

    private static readonly byte[] CloseRequest = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"u8.ToArray();
    private static readonly byte[] KeepRequest = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n"u8.ToArray();

    /// <summary>Opens a connection from the given address; the calling thread must be in the namespace, or pass a socket that is.</summary>
    internal static Socket Connect(IPAddress source, IPEndPoint target)
    {
        var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
        {
            NoDelay = true,
            ReceiveTimeout = TimeoutMilliseconds,
            SendTimeout = TimeoutMilliseconds,
        };
        try
        {
            socket.Bind(new IPEndPoint(source, 0));
            socket.Connect(target);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends a request and returns the body, which in the lab is the name of the service.</summary>
    /// <exception cref="SocketException">The connection failed or did not answer in time.</exception>
    /// <exception cref="InvalidDataException">The answer is no complete HTTP response.</exception>
    internal static string Ask(Socket connection, bool keep)
    {
        connection.Send(keep ? KeepRequest : CloseRequest);
        Span<byte> buffer = stackalloc byte[1024];
        var length = 0;
        while (true)
        {
            var read = connection.Receive(buffer[length..]);
            if (read == 0)
            {
                throw new InvalidDataException("closed in the answer");
            }

            length += read;
            if (TryParse(buffer[..length], out var body))
            {
                return body;
            }

            if (length == buffer.Length)
            {
                throw new InvalidDataException("answer too long");
            }
        }
    }

    private static bool TryParse(ReadOnlySpan<byte> answer, out string body)
    {
        body = "";
        var end = answer.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return false;
        }

        if (!answer.StartsWith("HTTP/1.1 200"u8))
        {
            throw new InvalidDataException("status " + Encoding.ASCII.GetString(answer[9..12]));
        }

        var header = answer[..end];
        var field = header.IndexOf("Content-Length: "u8);
        var value = header[(field + "Content-Length: "u8.Length)..];
        var line = value.IndexOf((byte)'\r');
        var length = int.Parse(line < 0 ? value : value[..line], CultureInfo.InvariantCulture);
        var rest = answer[(end + 4)..];
        if (rest.Length < length)
        {
            return false;
        }

        body = Encoding.ASCII.GetString(rest[..length]);
        return true;
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Services;

/// <summary>An HTTP server whose mood the lab sets: how long it takes, whether it calls itself healthy, whether it takes connections at all.</summary>
internal sealed class MoodyService : IDisposable
{
    internal const int Port = 8081;
    internal const string HealthPath = "/healthz";

    private readonly LabNode _host;
    private readonly TimeProvider _time;
    private readonly List<Socket> _listeners = [];
    private volatile int _milliseconds;
    private volatile bool _isUnwell;

    internal MoodyService(LabNode host, TimeProvider time)
    {
        (_host, _time) = (host, time);
        Open();
    }

    /// <summary>Time it takes for an answer.</summary>
    internal TimeSpan Pause
    {
        set => _milliseconds = (int)value.TotalMilliseconds;
    }

    /// <summary>Whether it answers health checks by 503; other requests are served all the same.</summary>
    internal bool IsUnwell
    {
        set => _isUnwell = value;
    }

    /// <summary>Refuses connections from now on; those that it has taken are served.</summary>
    internal void Close()
    {
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }

        _listeners.Clear();
    }

    /// <summary>Takes connections.</summary>
    internal void Open()
    {
        foreach (var address in new[] { _host.V4[0], _host.V6[0] })
        {
            var listener = _host.Namespace.CreateSocket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(new IPEndPoint(address, Port));
            listener.Listen(1024);
            _listeners.Add(listener);
            new Thread(() => Accept(listener)) { IsBackground = true, Name = "moody" }.Start();
        }
    }

    private void Accept(Socket listener)
    {
        try
        {
            while (true)
            {
                var connection = listener.Accept();
                _ = ServeAsync(connection);
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // Closed: it refuses, or the lab ends.
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        try
        {
            using (connection)
            {
                var buffer = new byte[2048];
                var length = await connection.ReceiveAsync(buffer);
                var isCheck = Encoding.ASCII.GetString(buffer, 0, length).StartsWith($"GET {HealthPath} ", StringComparison.Ordinal);
                if (!isCheck)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(_milliseconds), _time);
                }

                var status = isCheck && _isUnwell ? "503 Service Unavailable" : "200 OK";
                await connection.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {_host.Device.Length}\r\n\r\n{_host.Device}"));
                connection.Shutdown(SocketShutdown.Send);
                // Until the client has closed: it ends the connection first, as it says in its request.
                while (await connection.ReceiveAsync(buffer) > 0)
                {
                }
            }
        }
        catch (SocketException)
        {
            // The client sees it, and it is the client who reports.
        }
    }

    public void Dispose() => Close();
}

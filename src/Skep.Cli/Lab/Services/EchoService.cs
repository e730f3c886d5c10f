using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Services;

/// <summary>Answers every datagram with the name of its host, and counts datagrams and payload bytes by sender.</summary>
internal sealed class EchoService : IDisposable
{
    internal const int Port = 5353;
    private const int ReceiveBuffer = 4 << 20;

    private readonly Socket[] _sockets;
    private readonly Task[] _loops;
    private readonly byte[] _answer;
    private readonly ConcurrentDictionary<IPAddress, long> _received = new();

    internal EchoService(LabNode host)
    {
        _answer = Encoding.ASCII.GetBytes(host.Device);
        _sockets = [Bind(host.Namespace, host.V4[0]), Bind(host.Namespace, host.V6[0])];
        _loops = [.. _sockets.Select(s => Task.Factory.StartNew(() => Serve(s), TaskCreationOptions.LongRunning))];
    }

    /// <summary>Datagrams that arrived from an address since the service started.</summary>
    internal long ReceivedFrom(IPAddress sender) => _received.GetValueOrDefault(sender);

    private static Socket Bind(LabNamespace place, IPAddress address)
    {
        var socket = place.CreateSocket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.ReceiveBufferSize = ReceiveBuffer;
        socket.Bind(new IPEndPoint(address, Port));
        return socket;
    }

    private void Serve(Socket socket)
    {
        var buffer = new byte[2048];
        EndPoint sender = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (true)
        {
            try
            {
                socket.ReceiveFrom(buffer, ref sender);
                _received.AddOrUpdate(((IPEndPoint)sender).Address, 1, (_, n) => n + 1);
                socket.SendTo(_answer, sender);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionRefused or SocketError.HostUnreachable or SocketError.NetworkUnreachable)
            {
                // The sender has gone before its answer came: an ICMP error of an earlier answer, no fault of this datagram.
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException)
            {
                return; // Closed: the lab ends.
            }
        }
    }

    public void Dispose()
    {
        foreach (var socket in _sockets)
        {
            socket.Dispose();
        }

        Task.WaitAll(_loops);
    }
}

using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Load;

/// <summary>Datagrams of known sizes from one port, each answered before the next is sent.</summary>
/// <param name="Local">The client's end.</param>
/// <param name="Packets">Datagrams sent.</param>
/// <param name="Payload">Payload bytes sent.</param>
/// <param name="Answers">Datagrams received.</param>
/// <param name="AnswerPayload">Payload bytes received.</param>
internal sealed record UdpConversation(IPEndPoint Local, long Packets, long Payload, long Answers, long AnswerPayload)
{
    private const int TimeoutMilliseconds = 1000;

    internal static Task<UdpConversation> RunAsync(LabNamespace place, IPAddress source, IPEndPoint target, int packets) => place.RunAsync(() =>
    {
        using var socket = new Socket(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = TimeoutMilliseconds };
        socket.Bind(new IPEndPoint(source, 0));
        socket.Connect(target);
        var packet = new byte[1400];
        long sent = 0, received = 0;
        for (var i = 0; i < packets; i++)
        {
            sent += socket.Send(packet.AsSpan(0, 1 + (i * 7 % packet.Length)));
            received += socket.Receive(packet);
        }

        return new UdpConversation((IPEndPoint)socket.LocalEndPoint!, packets, sent, packets, received);
    });
}

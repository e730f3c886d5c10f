using System.Buffers.Binary;
using System.Net.Sockets;

namespace Skep.Cli.Lab.Kernel;

/// <summary>What the kernel says about one of our own sockets: the yardstick for what the agent measures from outside.</summary>
/// <param name="Rtt">Smoothed round trip time, microseconds (tcpi_rtt).</param>
/// <param name="MinimumRtt">Lowest round trip time, microseconds (tcpi_min_rtt).</param>
/// <param name="TotalRetransmits">Segments sent again (tcpi_total_retrans).</param>
/// <param name="BytesSent">Payload bytes sent, retransmits included (tcpi_bytes_sent).</param>
/// <param name="BytesAcknowledged">Payload bytes acknowledged (tcpi_bytes_acked).</param>
/// <param name="SegmentsOut">Segments sent, pure acknowledgements included (tcpi_segs_out).</param>
/// <param name="SegmentsIn">Segments received (tcpi_segs_in).</param>
internal readonly record struct TcpInfo(
    uint Rtt, uint MinimumRtt, uint TotalRetransmits, ulong BytesSent, ulong BytesAcknowledged, uint SegmentsOut, uint SegmentsIn)
{
    private const int IPPROTO_TCP = 6;
    private const int TCP_INFO = 11;

    // Offsets in struct tcp_info of include/uapi/linux/tcp.h; fields are only ever appended.
    private const int RttOffset = 68;
    private const int TotalRetransOffset = 100;
    private const int BytesAckedOffset = 120;
    private const int SegsOutOffset = 136;
    private const int SegsInOffset = 140;
    private const int MinRttOffset = 148;
    private const int BytesSentOffset = 200;
    private const int Size = 248;

    internal static TcpInfo Of(Socket socket)
    {
        Span<byte> info = stackalloc byte[Size];
        info.Clear();
        socket.GetRawSocketOption(IPPROTO_TCP, TCP_INFO, info);
        return new TcpInfo(
            BinaryPrimitives.ReadUInt32LittleEndian(info[RttOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(info[MinRttOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(info[TotalRetransOffset..]),
            BinaryPrimitives.ReadUInt64LittleEndian(info[BytesSentOffset..]),
            BinaryPrimitives.ReadUInt64LittleEndian(info[BytesAckedOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(info[SegsOutOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(info[SegsInOffset..]));
    }
}

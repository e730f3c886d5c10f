using Skep.Packets;

namespace Skep.Bpf.Tests.Packets;

public sealed unsafe class TcpOptionsTests
{
    private static readonly byte[] s_timestamps = [8, 10, 0, 0, 0, 7, 0, 0, 0, 9];

    public static TheoryData<byte[], bool> Layouts => new()
    {
        { [1, 1, .. s_timestamps], true },
        { [2, 4, 5, 180, 4, 2, .. s_timestamps, 1, 3, 3, 7], true },
        { [.. s_timestamps, 1, 1], true },
        { [2, 4, 5, 180, .. s_timestamps, 1, 1], true },
        { [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, .. s_timestamps, 1, 1], true },
        { [1, 1, .. s_timestamps, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2], true },
        { [], false },
        { [2, 4, 5, 180], false },
        { [0, 0, .. s_timestamps], false },
        { [3, 0, .. s_timestamps, 1, 1], false },
        { [254, 255, .. s_timestamps], false },
        { [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, .. s_timestamps], false },
    };

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Timestamps_are_found_wherever_they_are(byte[] options, bool expected)
    {
        var message = Tcp(options);
        fixed (byte* start = message)
        {
            var tcp = (TcpHeader*)start;
            Assert.Equal(expected, TcpTimestamps.TryFind(tcp, tcp->HeaderLength, start + message.Length, out var timestamps));
            Assert.Equal(expected ? new TcpTimestamps(7, 9) : default, timestamps);
        }
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void A_truncated_header_is_not_read_beyond_its_end(byte[] options, bool found)
    {
        var message = Tcp(options);
        fixed (byte* start = message)
        {
            var tcp = (TcpHeader*)start;
            for (var length = 20; length < 20 + Math.Min(options.Length, 10); length++)
            {
                Assert.False(TcpTimestamps.TryFind(tcp, tcp->HeaderLength, start + length, out _), $"{length} bytes, complete: {found}");
            }
        }
    }

    [Fact]
    public void All_options_of_a_SYN_are_read()
    {
        var options = TcpOptions.ReadAll([2, 4, 5, 180, 4, 2, .. s_timestamps, 1, 3, 3, 7]);
        Assert.Equal(new TcpConnectionOptions(1460, 7, true, new TcpTimestamps(7, 9), false), options);
    }

    [Theory]
    [InlineData(new byte[] { 2 })]
    [InlineData(new byte[] { 2, 1, 0, 0 })]
    [InlineData(new byte[] { 2, 5, 0, 0 })]
    public void A_list_that_breaks_off_says_so(byte[] options) => Assert.True(TcpOptions.ReadAll(options).IsMalformed);

    private static byte[] Tcp(byte[] options) =>
        PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(1, 2, options: options).Payload(32).Build()[34..];
}

using Skep.Packets;

namespace Skep.Bpf.Tests.Packets;

public sealed class ChecksumTests
{
    [Fact]
    public void The_example_of_RFC_1071_gives_its_sum() =>
        Assert.Equal(0xDDF2, NetworkUInt16.FromRaw(InternetChecksum.Fold(InternetChecksum.Sum([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]))).Value);

    [Fact]
    public void The_example_of_RFC_1624_is_updated_to_zero()
    {
        // Section 4: HC = DD2F, m = 5555, m' = 3285 gives 0000, which the older equation got wrong.
        var delta = ChecksumDelta.Of(NetworkUInt16.From(0x5555), NetworkUInt16.From(0x3285));
        Assert.Equal(0x0000, delta.Apply(NetworkUInt16.From(0xDD2F)).Value);
    }

    [Fact]
    public void A_known_IPv4_header_has_its_known_checksum()
    {
        byte[] header = [0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7];
        Assert.Equal(0xB861, InternetChecksum.Compute(header).Value);
    }

    [Fact]
    public void An_odd_byte_is_padded_with_zero() =>
        Assert.Equal(InternetChecksum.Compute([1, 2, 3, 0]), InternetChecksum.Compute([1, 2, 3]));

    [Theory]
    [InlineData("10.0.0.1", "192.0.2.200")]
    [InlineData("255.255.255.255", "0.0.0.0")]
    [InlineData("2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")]
    [InlineData("::", "ffff::1")]
    public void Incremental_update_equals_full_computation(string before, string after)
    {
        var random = new Random(7);
        var from = IpAddress.Parse(before);
        var to = IpAddress.Parse(after);
        var peer = from.IsIPv4 ? IpAddress.Parse("10.9.8.7") : IpAddress.Parse("2001:db8::9");
        for (var i = 0; i < 1000; i++)
        {
            var message = new byte[8 + random.Next(64)];
            random.NextBytes(message);
            message[6] = message[7] = 0;
            var oldPort = NetworkUInt16.FromRaw(BitConverter.ToUInt16(message, 2));
            var newPort = NetworkUInt16.From((ushort)random.Next(65536));
            var old = InternetChecksum.ComputeTransport(peer, from, IpProtocol.Tcp, message);
            var delta = ChecksumDelta.Of(in from, in to) + ChecksumDelta.Of(oldPort, newPort);

            BitConverter.TryWriteBytes(message.AsSpan(2), newPort.Raw);
            var expected = InternetChecksum.ComputeTransport(peer, to, IpProtocol.Tcp, message);
            Assert.True(SameSum(expected, delta.Apply(old)), $"round {i}: {expected} and {delta.Apply(old)}");
            Assert.True(SameSum(old, (-delta).Apply(delta.Apply(old))), $"round {i}: the way back");
        }
    }

    [Fact]
    public void Both_zeros_of_ones_complement_cancel()
    {
        var nothing = ChecksumDelta.Of(NetworkUInt16.From(80), NetworkUInt16.From(80));
        Assert.Equal(0x1234, nothing.Apply(NetworkUInt16.From(0x1234)).Value);
    }

    [Fact]
    public void Udp_without_checksum_stays_without_and_never_becomes_so()
    {
        var delta = ChecksumDelta.Of(NetworkUInt16.From(0x5555), NetworkUInt16.From(0x3285));
        Assert.Equal(0, delta.ApplyToUdp(NetworkUInt16.From(0)).Value);
        Assert.Equal(0xFFFF, delta.ApplyToUdp(NetworkUInt16.From(0xDD2F)).Value);
    }

    [Fact]
    public void A_32_bit_change_equals_its_halves()
    {
        var whole = ChecksumDelta.Of(0x12345678u, 0x9ABCDEF0u);
        var halves = ChecksumDelta.Of(NetworkUInt16.FromRaw(0x1234), NetworkUInt16.FromRaw(0x9ABC))
            + ChecksumDelta.Of(NetworkUInt16.FromRaw(0x5678), NetworkUInt16.FromRaw(0xDEF0));
        Assert.Equal(halves.Raw, whole.Raw);
    }

    // 0000 and FFFF are the same number in one's complement; on the wire either verifies.
    private static bool SameSum(NetworkUInt16 left, NetworkUInt16 right) => left == right || (left.Raw is 0 or 0xFFFF && right.Raw is 0 or 0xFFFF);
}

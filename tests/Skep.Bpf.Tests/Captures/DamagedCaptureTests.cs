using Skep.Bpf.Twin.Captures;

namespace Skep.Bpf.Tests.Captures;

public class DamagedCaptureTests
{
    private static readonly byte[] s_packet = new byte[60];

    public static TheoryData<string, byte[], long, string> Files => new()
    {
        { "empty", [], 0, "empty" },
        { "three bytes", [1, 2, 3], 0, "shorter than its magic" },
        { "text", "GET / HTTP/1.1"u8.ToArray(), 0, "Neither pcap nor pcapng" },
        { "gzip", [0x1F, 0x8B, 8, 0, 0, 0], 0, "gzip" },
        { "pcap cut in the header", [.. new CaptureBytes().Pcap().ToArray()[..20]], 0, "the file header" },
        { "pcap of another version", new CaptureBytes().U32(0xA1B2C3D4).U16(9).U16(4).Raw(new byte[16]).ToArray(), 4, "version 9" },
        { "packet header cut", [.. new CaptureBytes().Pcap().Packet(1, 1, s_packet).ToArray()[..30]], 24, "a packet header: 16 bytes expected, 6 left" },
        { "packet cut", [.. new CaptureBytes().Pcap().Packet(1, 1, s_packet).ToArray()[..90]], 40, "a packet: 60 bytes expected, 50 left" },
        { "giant packet", new CaptureBytes().Pcap().U32(0).U32(0).U32(0x7FFFFFFF).U32(60).ToArray(), 32, "not believable" },
        { "no byte order", new CaptureBytes().U32(0x0A0D0D0A).U32(28).U32(7).Raw(new byte[16]).ToArray(), 8, "byte-order magic" },
        { "block of 13", new CaptureBytes().Section().U32(1).U32(13).Raw(new byte[13]).ToArray(), 32, "A block of 13 bytes" },
        { "block of 8", new CaptureBytes().Section().U32(1).U32(8).Raw(new byte[13]).ToArray(), 32, "A block of 8 bytes" },
        { "endless block", new CaptureBytes().Section().U32(0xBAD).U32(0xFFFFFFFC).Raw(new byte[500]).ToArray(), 36, "the middle of a block" },
        { "lengths differ", new CaptureBytes().Section().U32(0xBAD).U32(16).U32(0).U32(20).ToArray(), 40, "opens with length 16 closes with 20" },
        { "no interface", new CaptureBytes().Section().Enhanced(0, 1, s_packet).ToArray(), 36, "interface 0, of 0" },
        { "wrong interface", new CaptureBytes().Section().Interface(1).Enhanced(1, 1, s_packet).ToArray(), 56, "interface 1, of 1" },
        { "packet beyond its block", new CaptureBytes().Section().Interface(1).Block(6, b => b.U32(0).U64(0).U32(61).U32(61).Raw(s_packet)).ToArray(), 68, "does not fit its block" },
        { "giant packet in a block", new CaptureBytes().Section().Interface(1).Block(6, b => b.U32(0).U64(0).U32(uint.MaxValue).U32(1)).ToArray(), 68, "not believable" },
        { "short packet block", new CaptureBytes().Section().Interface(1).Block(6, b => b.U32(0)).ToArray(), 52, "too short for a packet block" },
        { "unit too fine", new CaptureBytes().Section().Interface(1, resolution: 20).ToArray(), 56, "10^-20 s" },
        { "option beyond its block", new CaptureBytes().Section().Block(1, b => b.U16(1).U16(0).U32(0).U16(2).U16(400)).ToArray(), 44, "An option of 400 bytes" },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void A_damaged_file_is_refused_with_place_and_reason(string what, byte[] file, long offset, string problem)
    {
        var refused = Assert.Throws<CaptureFormatException>(() => CaptureBytes.ReadAll(file));
        Assert.Contains(problem, refused.Message);
        Assert.True(offset == refused.Offset, $"{what}: expected {offset}, was {refused.Offset}: {refused.Message}");
    }

    [Fact]
    public void No_mutation_of_a_file_does_more_than_that()
    {
        byte[][] files =
        [
            new CaptureBytes().Pcap().Packet(1, 1, s_packet).Packet(2, 2, s_packet).ToArray(),
            new CaptureBytes(true).Section().Interface(1, resolution: 6).Enhanced(0, 5, s_packet).Block(3, b => b.U32(60).Raw(s_packet)).ToArray(),
        ];
        var random = new Random(11);
        for (var i = 0; i < 50_000; i++)
        {
            var file = files[i & 1].AsSpan(0, files[i & 1].Length - random.Next(3) * random.Next(20)).ToArray();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
            {
                file[random.Next(file.Length)] = (byte)random.Next(256);
            }

            try
            {
                Assert.True(CaptureBytes.ReadAll(file).Count < 20);
            }
            catch (CaptureFormatException refused)
            {
                Assert.InRange(refused.Offset, 0, file.Length);
            }
        }
    }
}

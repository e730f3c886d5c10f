using System.Buffers.Binary;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin.Captures;
using Skep.Bpf.Twin.Replay;

namespace Skep.Bpf.Tests.Captures;

public class CaptureReplayTests
{
    private record struct TypeKey(ushort Type, ushort Zero);

    private readonly record struct Address(uint Bytes)
    {
        public override string ToString() => new IPAddress(Bytes).ToString();
    }

    private enum Class : byte
    {
        Short,
        Long,
    }

    [InlineArray(3)]
    private struct Sizes
    {
        private ushort _first;
    }

    private struct Seen
    {
        public ulong LastSeen;
        public uint _packets;
        public Address Source;
        public Class Class;
        public Sizes Sizes;
    }

    private sealed unsafe class ByType : XdpProgram
    {
        private readonly HashMap<TypeKey, Seen> _types = new(16);
        private readonly PerCpuArrayMap<ulong> _total = new(4);
        private readonly RingBuffer<TypeKey> _events = new(4096);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            var key = new TypeKey(BinaryPrimitives.ReverseEndianness(*(ushort*)(data + 12)), 0);
            ref var seen = ref _types.Find(in key);
            if (Unsafe.IsNullRef(ref seen))
            {
                var first = new Seen { _packets = 1, LastSeen = Helper.KtimeGetNs(), Source = new Address(0x0100000a), Class = Class.Long };
                first.Sizes[1] = 7;
                _types.Update(in key, in first, UpdateMode.NoExist);
                _events.Output(in key);
            }
            else
            {
                seen._packets++;
                seen.LastSeen = Helper.KtimeGetNs();
            }

            _total.Find(2)++;
            return key.Type == 0x86DD ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    private static byte[] Ethernet(ushort type, int length = 60)
    {
        var packet = new byte[length];
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(12), type);
        return packet;
    }

    [Fact]
    public void A_capture_gives_verdicts_output_and_map_contents()
    {
        var capture = new CaptureBytes().Pcap(0xA1B23C4D)
            .Packet(100, 0, Ethernet(0x0800), 1000)
            .Packet(101, 5, Ethernet(0x86DD))
            .Packet(100, 7, Ethernet(0x0800))
            .Packet(102, 0, new byte[13]);
        var output = new MemoryStream();
        var lines = new List<string>();
        using var engine = new TwinReplayEngine(new ByType());
        ReplayResult result;
        using (var reader = capture.Open())
        using (var writer = CaptureWriter.Pcap(output))
        {
            result = new CaptureReplay(engine).Run(reader, new ReplayOptions
            {
                Output = writer,
                Observer = (scoped in ReplayedPacket p) => lines.Add($"{p.Number} {p.Timestamp} {p.VerdictName} {p.Output.Length}"),
            });
        }

        Assert.Equal(["1 100000000000 pass 60", "2 101000000005 drop 60", "3 100000000007 pass 60"], lines);
        Assert.Equal((3, 180, 1, 1, 0), (result.Packets, result.Bytes, result.Truncated, result.Unframed, result.Refused));
        Assert.Equal(2, result.Verdicts["pass"]);
        Assert.Equal(1, result.Verdicts["drop"]);
        Assert.Null(result.Damage);
        Assert.Equal([1000u, 60u], CaptureBytes.ReadAll(output.ToArray()).Select(p => p.Original));

        // The clock starts at one second and does not go back with the third packet.
        var types = MapDump.ToJson(engine.Maps[0]);
        Assert.Equal(
            """
            {"name":"types","kind":"Hash","maxEntries":16,"entries":[
            {"key":{"type":2048,"zero":0},"value":{"lastSeen":2000000005,"packets":2,"source":"10.0.0.1","class":"Long","sizes":[0,7,0]}},
            {"key":{"type":34525,"zero":0},"value":{"lastSeen":2000000005,"packets":1,"source":"10.0.0.1","class":"Long","sizes":[0,7,0]}}]}
            """.ReplaceLineEndings(""),
            types.ToJsonString());
        Assert.Equal(
            """{"name":"total","kind":"PerCpuArray","maxEntries":4,"entries":[{"key":2,"values":[3,0,0,0]}]}""",
            MapDump.ToJson(engine.Maps[1]).ToJsonString());
        Assert.Equal(
            """[{"type":2048,"zero":0},{"type":34525,"zero":0}]""",
            MapDump.ToJson(engine.Maps[2])["records"]!.ToJsonString());
    }

    [Fact]
    public void More_entries_than_asked_for_are_said_to_be_left_out()
    {
        var capture = new CaptureBytes().Pcap().Packet(1, 0, Ethernet(1)).Packet(1, 0, Ethernet(2));
        using var engine = new TwinReplayEngine(new ByType());
        using var reader = capture.Open();
        new CaptureReplay(engine).Run(reader);
        var dump = MapDump.ToJson(engine.Maps[0], limit: 1);
        Assert.Equal(JsonValueKind.True, dump["truncated"]!.GetValueKind());
        Assert.Single(dump["entries"]!.AsArray());
    }

    [Fact]
    public void A_damaged_capture_is_replayed_as_far_as_it_is_good()
    {
        var file = new CaptureBytes().Pcap().Packet(1, 0, Ethernet(0x800)).Packet(1, 0, Ethernet(0x800)).ToArray();
        using var engine = new TwinReplayEngine(new ByType());
        using var reader = CaptureReader.Open(new MemoryStream(file[..^1]));
        var result = new CaptureReplay(engine).Run(reader);
        Assert.Equal(1, result.Packets);
        Assert.Equal(116, result.Damage!.Offset);
    }

    [Theory]
    [InlineData(101, "4500", 0x0800)]
    [InlineData(101, "6000", 0x86DD)]
    [InlineData(228, "0000", 0x0800)]
    [InlineData(229, "0000", 0x86DD)]
    [InlineData(0, "02000000", 0x0800)]
    [InlineData(0, "0000001e", 0x86DD)]
    [InlineData(108, "00000018", 0x86DD)]
    [InlineData(113, "0000 0001 0006 0a0b0c0d0e0f 0000 0806", 0x0806)]
    [InlineData(276, "86dd 0000 00000001 0001 00 06 0a0b0c0d0e0f 0000", 0x86DD)]
    [InlineData(101, "5000", null)]
    [InlineData(0, "02", null)]
    [InlineData(0, "63000000", null)]
    [InlineData(113, "0000", null)]
    [InlineData(276, "0000", null)]
    [InlineData(105, "00000000", null)]
    public void Packets_without_an_Ethernet_header_get_one(uint linkType, string hex, int? expected)
    {
        var header = Convert.FromHexString(hex.Replace(" ", ""));
        var payload = "payload"u8.ToArray();
        var capture = new CaptureBytes().Pcap(linkType: linkType).Packet(1, 0, [.. header, .. header.Length == 2 || header.Length < 4 ? [] : payload]);
        using var engine = new TwinReplayEngine(new ByType());
        using var reader = capture.Open();
        byte[]? frame = null;
        var result = new CaptureReplay(engine).Run(reader, new ReplayOptions { Observer = (scoped in ReplayedPacket p) => frame = p.Input.ToArray() });
        Assert.Equal(expected is null ? 1 : 0, result.Unframed);
        if (expected is { } type)
        {
            Assert.Equal(type, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(12)));
            Assert.Equal(header.Length == 2 ? header : payload, frame![14..]);
            Assert.Equal(header.Length < 16 ? "000000000000" : "0a0b0c0d0e0f", Convert.ToHexStringLower(frame.AsSpan(6, 6)));
        }
    }

    [Fact]
    public void A_long_capture_takes_no_more_memory_than_a_short_one()
    {
        var packet = Ethernet(0x0800);
        var file = new CaptureBytes().Pcap();
        for (var i = 0u; i < 20_000; i++)
        {
            file.Packet(i, 0, packet);
        }

        using var engine = new TwinReplayEngine(new ByType());
        var replay = new CaptureReplay(engine);
        using var reader = file.Open();
        replay.Run(reader, new ReplayOptions { MaxPackets = 100 });
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(20_000, replay.Run(reader).Packets);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000);
    }

    [Fact]
    public void Other_hooks_are_refused() => Assert.Throws<ArgumentException>(() => new TwinReplayEngine(new Probe()));

    private sealed class Probe : RawTracepointProgram
    {
        public override string Tracepoint => "kfree_skb";

        public override void Run(ref RawTracepointContext context)
        {
        }
    }
}

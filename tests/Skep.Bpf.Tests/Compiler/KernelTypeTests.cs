using System.Runtime.CompilerServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Tests.Compiler;

/// <summary>One program, several kernels: what each has of a struct, and where, is decided by its BTF.</summary>
public unsafe class KernelTypeTests
{
    private const int ProbeReadKernel = 113;

    /// <summary>
    /// struct conn { u32 id; struct peer { u16 port; u8 kind:3, mood:5 } peer; u32 words[4]; struct conn *next; [u64 extra;] enum mode mode; void *opaque }.
    /// </summary>
    /// <param name="gap">Bytes in front of everything: another kernel.</param>
    /// <param name="extra">Whether the field exists.</param>
    /// <param name="twice">Whether another struct has the same name: "other" has different fields, "alike" the same ones elsewhere, "equal" is a copy.</param>
    private static BtfFile NewKernel(int gap = 0, bool extra = true, string twice = "", int idSize = 4, int modeValue = 2)
    {
        var b = new BtfBuilder();
        var u8 = b.AddInt("unsigned char", 1, false);
        var u16 = b.AddInt("unsigned short", 2, false);
        var u32 = b.AddInt("unsigned int", 4, false);
        var u64 = b.AddInt("unsigned long", 8, false);
        var id = idSize == 4 ? u32 : idSize == 2 ? u16 : u64;
        var mode = b.AddEnum("mode", ("MODE_IDLE", 1), ("MODE_BUSY", modeValue));
        var four = b.AddArray(u32, u32, 4);
        var peer = b.AddBitFieldStruct("peer", 4, ("port", u16, 0u, 0u), ("kind", u8, 16u, 3u), ("mood", u8, 19u, 5u));
        var at = (uint)gap * 8;
        var connection = b.NextId;
        void Connection(uint shift) => b.AddStruct("conn", 96 + gap, [
            ("id", id, at + shift), ("peer", peer, at + shift + 64), ("words", four, at + shift + 96), ("next", connection + 1, at + shift + 256),
            ("mode", mode, at + shift + 320), ("opaque", connection + 2, at + shift + 384), .. extra ? new[] { ("extra", u64, at + shift + 448) } : []]);
        Connection(0);
        b.AddPointer(connection);
        b.AddPointer(0);
        switch (twice)
        {
            case "other":
                b.AddStruct("conn", 8, ("unrelated", u64, 0u));
                break;
            case "alike":
                Connection(64);
                break;
            case "equal":
                Connection(0);
                break;
        }

        return BtfFile.Parse(b.Build());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(32)]
    public void Fields_are_where_the_kernel_has_them(int gap)
    {
        using var kernel = NewKernel(gap);

        var loads = Loads(new ReadsAll(), kernel);

        // id; peer.port (two levels); words[2]; next->id through a pointer that the verifier types
        Assert.Equal([(4, gap), (2, gap + 8), (4, gap + 20), (8, gap + 32), (4, gap)], loads);
    }

    [Fact]
    public void A_narrower_field_is_widened_and_a_wider_one_refused()
    {
        using var narrow = NewKernel(idSize: 2);
        using var wide = NewKernel(idSize: 8);

        Assert.Equal((2, 0), Assert.Single(Loads(new ReadsId(), narrow)));
        Refused(new ReadsId(), wide, "struct conn: field id has 8 bytes in this kernel, the view only 4; declare it wider", ReadsId.Line);
    }

    [Fact]
    public void A_missing_field_is_named_with_its_line()
    {
        using var kernel = NewKernel(extra: false);

        Refused(new ReadsExtra(), kernel, "this kernel's struct conn has no field extra; ask KernelType.Exists(&pointer->Extra) before using it", ReadsExtra.Line);
    }

    [Fact]
    public void What_is_done_only_where_a_field_exists_is_gone_where_it_does_not()
    {
        using var with = NewKernel();
        using var without = NewKernel(extra: false);

        var (rich, poor) = (Compile(new AsksForExtra(), with), Compile(new AsksForExtra(), without));

        Assert.Contains(rich, i => i.Immediate == AsksForExtra.Mark);
        Assert.DoesNotContain(poor, i => i.Immediate == AsksForExtra.Mark);
        Assert.Contains(poor, i => i.Immediate == AsksForExtra.OtherMark);
        Assert.DoesNotContain(rich, i => i.Immediate == AsksForExtra.OtherMark);
    }

    [Fact]
    public void A_missing_struct_is_named_and_can_be_asked_for()
    {
        using var empty = BtfFile.Parse(new BtfBuilder().Build());

        Refused(new ReadsId(), empty, "this kernel has no struct conn; ask KernelType.Exists<Connection>() before using it", ReadsId.Line);
        Assert.DoesNotContain(Compile(new AsksForStruct(), empty), i => i.Immediate == AsksForStruct.Mark);
        using var kernel = NewKernel();
        Assert.Contains(Compile(new AsksForStruct(), kernel), i => i.Immediate == AsksForStruct.Mark);
    }

    [Theory]
    [InlineData(0, 96)]
    [InlineData(8, 104)]
    public void Sizes_are_the_kernels(int gap, int size)
    {
        using var kernel = NewKernel(gap);

        Assert.Contains(Compile(new AsksForSize(), kernel), i => i.Immediate == size + 1000);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(77)]
    public void Values_of_an_enumeration_are_the_kernels(int value)
    {
        using var kernel = NewKernel(modeValue: value);

        var code = Compile(new ComparesMode(), kernel);

        Assert.Contains(code, i => i.Class is OpCodes.ClassJmp or OpCodes.ClassJmp32 && i.Immediate == value);
        Assert.DoesNotContain(code, i => i.Immediate == ComparesMode.Mark);
    }

    [Fact]
    public void A_value_the_kernel_lacks_is_refused()
    {
        using var kernel = NewKernel();

        Refused(new UsesMissingValue(), kernel, "this kernel's enum mode has no value for Mode.Asleep", UsesMissingValue.Line);
    }

    [Fact]
    public void A_name_that_several_structs_share_goes_to_the_one_that_fits()
    {
        using var kernel = NewKernel(gap: 8, twice: "other");
        using var copies = NewKernel(gap: 8, twice: "equal");

        Assert.Equal(8, Assert.Single(Loads(new ReadsId(), kernel)).Offset);
        Assert.Equal(8, Assert.Single(Loads(new ReadsId(), copies)).Offset);
    }

    [Fact]
    public void A_name_that_several_fitting_structs_share_is_refused()
    {
        using var kernel = NewKernel(twice: "alike");

        Refused(new ReadsId(), kernel, "2 different structs called conn, and 2 have all fields of the view Connection", 0);
    }

    [Fact]
    public void A_view_that_contradicts_the_kernel_is_refused()
    {
        using var kernel = NewKernel();

        Refused(new MistypedProgram(), kernel, "field next is of type 'conn' in this kernel, the view says 'peer'", MistypedProgram.Line);
    }

    [Fact]
    public void A_copy_of_a_kernel_struct_is_refused()
    {
        using var kernel = NewKernel();

        Refused(new CopiesStruct(), kernel, "keep a pointer or ref to it", 0);
    }

    [Fact]
    public void Addresses_that_the_verifier_does_not_type_are_read_by_a_helper()
    {
        using var kernel = NewKernel();

        Assert.Equal(2, Compile(new ReadsThroughNumber(), kernel).Count(i => i.Code == OpCodes.CallInstruction && i.Immediate == ProbeReadKernel));
        Assert.Equal(0, Compile(new ReadsAll(), kernel).Count(i => i.Code == OpCodes.CallInstruction && i.Immediate == ProbeReadKernel));

        // A pointer to no struct is a number to the verifier; so is what lies behind a cast to a larger struct.
        Assert.Equal(1, Compile(new ReadsThroughOpaque(), kernel).Count(i => i.Code == OpCodes.CallInstruction && i.Immediate == ProbeReadKernel));
        Assert.Equal(1, Compile(new CastsUp(), kernel).Count(i => i.Code == OpCodes.CallInstruction && i.Immediate == ProbeReadKernel));
    }

    [Fact]
    public void Nothing_is_written_through_such_an_address()
    {
        using var kernel = NewKernel();

        Refused(new WritesThroughNumber(), kernel, "struct conn: field id is written through a pointer that the kernel does not vouch for", WritesThroughNumber.Line);
    }

    private static IReadOnlyList<Instruction> Compile(BpfProgram program, BtfFile kernel) =>
        ProgramCompiler.Compile(program, new CompileTarget { KernelBtf = kernel }).Instructions;

    /// <summary>Loads from kernel memory, in order: those not from the context, which comes in r1, or from the program's map.</summary>
    private static List<(int Size, int Offset)> Loads(BpfProgram program, BtfFile kernel)
    {
        var own = new HashSet<int> { 1 };
        var result = new List<(int, int)>();
        foreach (var i in Compile(program, kernel))
        {
            var isLoad = i.Class == OpCodes.ClassLdx;
            if (isLoad && !own.Contains(i.Src))
            {
                var size = (i.Code & 0x18) switch { OpCodes.SizeB => 1, OpCodes.SizeH => 2, OpCodes.SizeW => 4, _ => 8 };
                result.Add((size, i.Offset));
            }

            if (isLoad || i.Class is OpCodes.ClassAlu64 or OpCodes.ClassAlu || i.IsWideLoad)
            {
                var stays = i.IsWideLoad || (i.Code == (OpCodes.ClassAlu64 | OpCodes.Mov | OpCodes.SourceRegister) && own.Contains(i.Src));
                _ = stays ? own.Add(i.Dst) : own.Remove(i.Dst);
            }
        }

        return result;
    }

    private static void Refused(BpfProgram program, BtfFile kernel, string text, int line)
    {
        var e = Assert.Throws<CompileException>(() => Compile(program, kernel));
        Assert.Equal("SKEP0008", e.Id);
        Assert.Contains(text, e.Message, StringComparison.Ordinal);
        if (line > 0)
        {
            Assert.EndsWith("KernelTypeTests.cs", e.Position.File, StringComparison.Ordinal);
            Assert.Equal(line, e.Position.Line);
        }
    }

    private static int Here([CallerLineNumber] int line = 0) => line;

#pragma warning disable CS0649 // the fields are the kernel's
    [KernelStruct("conn")]
    private struct Connection
    {
        public uint Id;
        public Peer Peer;
        public FourWords Words;
        public Connection* Next;
        public Mode Mode;
        public void* Opaque;
    }

    [KernelStruct("conn")]
    private struct RichConnection
    {
        public uint Id;
        public ulong Extra;
    }

    [KernelStruct("conn")]
    private struct MistypedConnection
    {
        public Peer* Next;
    }

    [KernelStruct("peer")]
    private struct Peer
    {
        public ushort Port;
        public byte Kind;
        public byte Mood;
    }

    [InlineArray(4)]
    private struct FourWords
    {
        private uint _first;
    }

#pragma warning restore CS0649
    [KernelEnum("mode")]
    private enum Mode
    {
        [KernelField("MODE_IDLE")]
        Idle = 11,
        [KernelField("MODE_BUSY")]
        Busy = 12,
        [KernelField("MODE_ASLEEP")]
        Asleep = 13,
    }

    private abstract class Probe : RawTracepointProgram
    {
        protected readonly Global<ulong> Result = new();

        public override string Tracepoint => "probe";
    }

    private sealed class ReadsAll : Probe
    {
        public override void Run(ref RawTracepointContext context)
        {
            var c = context.Pointer<Connection>(0);
            Result.Value += c->Id;
            Result.Value += c->Peer.Port;
            Result.Value += c->Words[2];
            Result.Value += c->Next->Id;
        }
    }

    private sealed class ReadsId : Probe
    {
        public static readonly int Line = Here() + 2;

        public override void Run(ref RawTracepointContext context) => Result.Value += context.Pointer<Connection>(0)->Id;
    }

    private sealed class ReadsExtra : Probe
    {
        public static readonly int Line = Here() + 2;

        public override void Run(ref RawTracepointContext context) => Result.Value += context.Pointer<RichConnection>(0)->Extra;
    }

    private sealed class AsksForExtra : Probe
    {
        public const int Mark = 0x1234567, OtherMark = 0x7654321;

        public override void Run(ref RawTracepointContext context)
        {
            var c = context.Pointer<RichConnection>(0);
            var has = KernelType.Exists(&c->Extra);
            Result.Value += has ? c->Extra * Mark : OtherMark;
        }
    }

    private sealed class AsksForStruct : Probe
    {
        public const int Mark = 0x1234567;

        public override void Run(ref RawTracepointContext context)
        {
            if (KernelType.Exists<Connection>())
            {
                Result.Value += context.Pointer<Connection>(0)->Id * (ulong)Mark;
            }
        }
    }

    private sealed class AsksForSize : Probe
    {
        public override void Run(ref RawTracepointContext context) => Result.Value = KernelType.SizeOf<Connection>() + 1000;
    }

    private sealed class ComparesMode : Probe
    {
        public const int Mark = 0x1234567;

        public override void Run(ref RawTracepointContext context)
        {
            if (context.Pointer<Connection>(0)->Mode == KernelType.ValueOf(Mode.Busy))
            {
                Result.Value++;
            }

            if (KernelType.HasValue(Mode.Asleep))
            {
                Result.Value += Mark;
            }
        }
    }

    private sealed class UsesMissingValue : Probe
    {
        public static readonly int Line = Here() + 2;

        public override void Run(ref RawTracepointContext context) => Result.Value += (uint)KernelType.ValueOf(Mode.Asleep);
    }

    private sealed class MistypedProgram : Probe
    {
        public static readonly int Line = Here() + 2;

        public override void Run(ref RawTracepointContext context) => Result.Value += context.Pointer<MistypedConnection>(0)->Next->Port;
    }

    private sealed class CopiesStruct : Probe
    {
        public override void Run(ref RawTracepointContext context)
        {
            var copy = *context.Pointer<Connection>(0);
            Result.Value += copy.Id + copy.Peer.Port;
        }
    }

    private sealed class ReadsThroughNumber : Probe
    {
        public override void Run(ref RawTracepointContext context)
        {
            var c = (Connection*)context.Value(0);
            Result.Value += c->Next->Id;
        }
    }

    private sealed class ReadsThroughOpaque : Probe
    {
        public override void Run(ref RawTracepointContext context) => Result.Value += *(uint*)context.Pointer<Connection>(0)->Opaque;
    }

    private sealed class CastsUp : Probe
    {
        public override void Run(ref RawTracepointContext context) => Result.Value += ((Connection*)context.Pointer<Peer>(0))->Mode == Mode.Busy ? 1u : 0;
    }

    private sealed class WritesThroughNumber : Probe
    {
        public static readonly int Line = Here() + 2;

        public override void Run(ref RawTracepointContext context) => ((Connection*)context.Value(0))->Id = 1;
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Tests.Kernel;

/// <summary>Sizes and offsets as in include/uapi/linux/bpf.h, on 64-bit machines.</summary>
public class LayoutTests
{
    private static int Offset<T>(string field) => (int)Marshal.OffsetOf<T>(field);

    [Fact]
    public void Attributes_have_the_size_the_kernel_reads()
    {
        Assert.Equal(80, Unsafe.SizeOf<MapCreateAttributes>());
        Assert.Equal(32, Unsafe.SizeOf<MapElemAttributes>());
        Assert.Equal(56, Unsafe.SizeOf<MapBatchAttributes>());
        Assert.Equal(152, Unsafe.SizeOf<ProgLoadAttributes>());
        Assert.Equal(40, Unsafe.SizeOf<BtfLoadAttributes>());
        Assert.Equal(80, Unsafe.SizeOf<ProgTestRunAttributes>());
        Assert.Equal(16, Unsafe.SizeOf<ObjAttributes>());
        Assert.Equal(16, Unsafe.SizeOf<ObjInfoAttributes>());
        Assert.Equal(12, Unsafe.SizeOf<IdAttributes>());
        Assert.Equal(64, Unsafe.SizeOf<LinkCreateAttributes>());
        Assert.Equal(16, Unsafe.SizeOf<LinkUpdateAttributes>());
        Assert.Equal(24, Unsafe.SizeOf<RawTracepointOpenAttributes>());
        Assert.Equal(32, Unsafe.SizeOf<BtfInfo>());
        Assert.Equal(8, Unsafe.SizeOf<TokenCreateAttributes>());
        Assert.Equal(88, Unsafe.SizeOf<MapInfo>());
        Assert.Equal(232, Unsafe.SizeOf<ProgramInfo>());
        Assert.Equal(48, Unsafe.SizeOf<LinkInfoData>());
        Assert.Equal(16, Unsafe.SizeOf<ObjectName>());
    }

    [Theory]
    [InlineData(nameof(MapCreateAttributes.Flags), 16)]
    [InlineData(nameof(MapCreateAttributes.Name), 28)]
    [InlineData(nameof(MapCreateAttributes.BtfDescriptor), 48)]
    [InlineData(nameof(MapCreateAttributes.Extra), 64)]
    public void Map_creation_has_its_fields_in_place(string field, int offset) => Assert.Equal(offset, Offset<MapCreateAttributes>(field));

    [Theory]
    [InlineData(nameof(ProgLoadAttributes.License), 16)]
    [InlineData(nameof(ProgLoadAttributes.Log), 32)]
    [InlineData(nameof(ProgLoadAttributes.Name), 48)]
    [InlineData(nameof(ProgLoadAttributes.ExpectedAttachType), 68)]
    [InlineData(nameof(ProgLoadAttributes.Functions), 80)]
    [InlineData(nameof(ProgLoadAttributes.Lines), 96)]
    [InlineData(nameof(ProgLoadAttributes.AttachBtfId), 108)]
    [InlineData(nameof(ProgLoadAttributes.DescriptorArray), 120)]
    [InlineData(nameof(ProgLoadAttributes.LogTrueSize), 140)]
    [InlineData(nameof(ProgLoadAttributes.Token), 144)]
    public void Program_load_has_its_fields_in_place(string field, int offset) => Assert.Equal(offset, Offset<ProgLoadAttributes>(field));

    [Theory]
    [InlineData(nameof(ProgTestRunAttributes.DataIn), 16)]
    [InlineData(nameof(ProgTestRunAttributes.Repeat), 32)]
    [InlineData(nameof(ProgTestRunAttributes.Duration), 36)]
    [InlineData(nameof(ProgTestRunAttributes.ContextIn), 48)]
    [InlineData(nameof(ProgTestRunAttributes.BatchSize), 72)]
    public void Test_run_has_its_fields_in_place(string field, int offset) => Assert.Equal(offset, Offset<ProgTestRunAttributes>(field));

    [Theory]
    [InlineData(nameof(MapInfo.Name), 24)]
    [InlineData(nameof(MapInfo.NamespaceDevice), 48)]
    [InlineData(nameof(MapInfo.BtfId), 64)]
    [InlineData(nameof(MapInfo.Extra), 80)]
    public void Map_information_has_its_fields_in_place(string field, int offset) => Assert.Equal(offset, Offset<MapInfo>(field));

    [Theory]
    [InlineData("Édge program", "_dge_program")]
    [InlineData("exactly_fifteen", "exactly_fifteen")]
    [InlineData("one more than fifteen", "one_more_than_f")]
    [InlineData("", "")]
    public void Names_become_what_the_kernel_takes(string name, string expected) => Assert.Equal(expected, ObjectName.From(name).ToString());

    [Theory]
    [InlineData("0\n", 1)]
    [InlineData("0-1\n", 2)]
    [InlineData("0-3,6\n", 7)]
    [InlineData("0,2-11\n", 12)]
    public void Possible_CPUs_count_to_the_highest(string list, int count) => Assert.Equal(count, PossibleCpus.Parse(list));

    [Fact]
    public void Instructions_are_written_and_read_in_little_endian_order()
    {
        var instruction = new Instruction(0x7b, 10, 3, -8, unchecked((int)0x89abcdef));
        Span<byte> bytes = stackalloc byte[Instruction.Size];
        instruction.Write(bytes);

        Assert.Equal([0x7b, 0x3a, 0xf8, 0xff, 0xef, 0xcd, 0xab, 0x89], bytes.ToArray());
        Assert.Equal(instruction, Instruction.Read(bytes));
    }
}

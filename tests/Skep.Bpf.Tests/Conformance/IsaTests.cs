using Skep.Bpf.Asm;
using Skep.Bpf.Twin.Conformance;
using Skep.Corpus;

namespace Skep.Bpf.Tests.Conformance;

/// <summary>Every instruction does in the interpreter what its table says.</summary>
public class IsaTests
{
    public static TheoryData<string> Tables => [.. IsaCorpus.Files];

    [Theory]
    [MemberData(nameof(Tables))]
    public void Every_row_of_the_table_holds(string table)
    {
        var engine = new InterpreterVectorEngine();
        var wrong = IsaCorpus.Read(table).Select(engine.Run).Where(o => o.Status != VectorStatus.Passed).ToArray();
        Assert.True(wrong.Length == 0, string.Join('\n', wrong.Take(20)));
    }

    [Fact]
    public void The_tables_have_every_operation_of_the_RFC()
    {
        var opcodes = IsaCorpus.Files.SelectMany(IsaCorpus.Read).SelectMany(v => v.Code.Instructions).Select(i => i.Code).ToHashSet();
        for (var code = 0; code < 256; code++)
        {
            // Some instruction with this opcode exists, whatever its other fields are.
            var forms = from offset in (short[])[0, 1, 8] from immediate in (int[])[0, 16] select new Instruction((byte)code, 0, 0, offset, immediate);
            var exists = forms.Any(i => ConformanceGroup.Of(i) is not ConformanceGroups.None and not ConformanceGroups.Packet);
            Assert.True(!exists || opcodes.Contains((byte)code), $"no table has opcode {code:x2}");
        }
    }
}

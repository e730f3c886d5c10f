using System.Globalization;
using System.Text;
using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf.Asm;

namespace Skep.Benchmarks.Compiler;

/// <summary>Code and counts of all contenders in files, for people who look for what one does better.</summary>
internal static class Listing
{
    internal static void Write(string folder, Func<Algorithm> create, IReadOnlyList<Contender> contenders, long[][] executed)
    {
        Directory.CreateDirectory(folder);
        for (var c = 0; c < contenders.Count; c++)
        {
            var algorithm = create();
            var text = new StringBuilder();
            for (var i = 0; i < algorithm.Samples.Count; i++)
            {
                text.Append(CultureInfo.InvariantCulture, $"; {executed[c][i],6} {algorithm.Samples[i].Name}\n");
            }

            text.Append(Disassembler.Disassemble(contenders[c].Compile(algorithm)));
            File.WriteAllText(Path.Combine(folder, $"{algorithm.Name}.{contenders[c].Name}.txt"), text.ToString());
        }
    }
}

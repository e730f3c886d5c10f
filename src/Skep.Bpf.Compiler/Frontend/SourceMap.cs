using System.Collections.Concurrent;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Runtime.CompilerServices;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>C# positions of IL offsets, from embedded or neighbouring portable PDBs.</summary>
internal static class SourceMap
{
    private static readonly ConditionalWeakTable<Assembly, StrongBox<MetadataReader?>> s_readers = [];
    private static readonly ConcurrentDictionary<string, string[]> s_files = new();

    /// <summary>Positions by IL offset in order; empty without debug information.</summary>
    public static List<(int Offset, SourcePosition Position)> Read(MethodBase method)
    {
        var result = new List<(int, SourcePosition)>();
        var reader = s_readers.GetValue(method.Module.Assembly, static a => new StrongBox<MetadataReader?>(Open(a))).Value;
        if (reader is null)
        {
            return result;
        }

        var token = method.MetadataToken;
        var information = reader.GetMethodDebugInformation(MetadataTokens.MethodDefinitionHandle(token & 0xffffff));
        if (information.SequencePointsBlob.IsNil)
        {
            return result;
        }

        // A method is in one file as a rule, whose name is put together from its parts each time it is asked for.
        var (document, file) = (default(DocumentHandle), "");
        foreach (var point in information.GetSequencePoints())
        {
            if (!point.IsHidden)
            {
                var own = point.Document.IsNil ? information.Document : point.Document;
                if (own != document)
                {
                    (document, file) = (own, reader.GetString(reader.GetDocument(own).Name));
                }

                result.Add((point.Offset, new SourcePosition(file, point.StartLine, point.StartColumn)));
            }
        }

        return result;
    }

    /// <summary>Text of a source line when the file is at hand, else empty.</summary>
    public static string LineText(SourcePosition position)
    {
        if (position.Line == 0)
        {
            return "";
        }

        var lines = s_files.GetOrAdd(position.File, static file => File.Exists(file) ? File.ReadAllLines(file) : []);
        return position.Line <= lines.Length ? lines[position.Line - 1].Trim() : "";
    }

    private static MetadataReader? Open(Assembly assembly)
    {
        if (assembly.IsDynamic || assembly.Location.Length == 0 || !File.Exists(assembly.Location))
        {
            return null;
        }

        // The readers live as long as the assemblies: they are shared by all compilations.
        var image = new PEReader(File.OpenRead(assembly.Location));
        foreach (var entry in image.ReadDebugDirectory())
        {
            if (entry.Type == DebugDirectoryEntryType.EmbeddedPortablePdb)
            {
                return image.ReadEmbeddedPortablePdbDebugDirectoryData(entry).GetMetadataReader();
            }
        }

        var neighbour = Path.ChangeExtension(assembly.Location, ".pdb");
        image.Dispose();
        return File.Exists(neighbour) ? MetadataReaderProvider.FromPortablePdbStream(File.OpenRead(neighbour)).GetMetadataReader() : null;
    }
}

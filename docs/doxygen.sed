# Marks: "// words" above a declaration becomes "/// words", "x; // words" becomes "x; ///< words".
s,^( *)//( |$),\1///\2,
s,([;\,{}]) +// ,\1 ///< ,
# Words of ours that are no commands, tags or links of Doxygen's.
/\/\/\//{
s,([\\@]),\\\1,g
s,(///[^<].*)<([A-Za-z/]),\1\\<\2,g
s,::,\\::,g
s,#,\\#,g
}
